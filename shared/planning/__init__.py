"""[pure] What a load needs: cores, memory, Redis servers and network, from measured costs."""
