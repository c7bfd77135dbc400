"""Speech to speech: one model of OpenAI's Realtime interface in the place of all three engines, on the same flow.

    caller's µ-law ─▶ input buffer ──end of turn──▶ transcript, for the transcript ─▶ what the flow makes of it
                                           └──────▶ response: sound to the caller; calls to the flow

The sound is µ-law both ways, and the turns are ours: the model is told when one ends. `link` speaks the protocol,
`call` hears and speaks, `dialogue` decides, for one call.
"""
