"""Why a prediction is what it is: what each feature contributed, exactly where a model allows it,
else by an estimate.

    row ──► exact: steps ──► trees | linear ──► scales ──► Explanation
        └─► estimate: background ──► sampling ───────────► Explanation
"""
