"""A Twilio of our own: REST, TwiML, Media Streams, callbacks and the people who pick up.

Imports nothing of ours, and nothing of ours imports it.

From the wire inwards: ``rest`` and ``rest_recordings`` are the interface a client sees, ``exchange`` carries calls,
``program`` runs their TwiML, ``line`` and ``audio_clock`` move their sound, ``callee`` plays the person,
``callbacks`` and ``webhooks`` tell the customer, ``control`` is our own door.
"""
