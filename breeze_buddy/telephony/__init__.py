"""Twilio: client, TwiML, signatures, callback fields and error classes; alone in importing `twilio`."""
