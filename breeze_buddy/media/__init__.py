"""The media server: wire protocol, the stream session, the turn loop, speech engines and dialogue engines."""
