"""A Twilio of our own: REST, TwiML, Media Streams, callbacks and the people who pick up. Imports nothing of ours, and nothing of ours imports it."""
