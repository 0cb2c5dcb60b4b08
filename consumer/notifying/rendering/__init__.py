"""An incident as the message that people get: first its words (`telling`), then the form of each
receiver: plain text, a mail's page, Slack's blocks, a card of Teams, an embed of Discord.
"""
