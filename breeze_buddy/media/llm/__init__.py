"""The dialogue engine with a language model, on the same flow as the scripted one.

    caller's words ─▶ prompt ─▶ model ──sentence by sentence──▶ said          The model chooses; what follows from
                                  └──── function call ─▶ the scripted flow    its choice is the scripted flow's.

Whatever the model does not do in time, or does wrong, the scripted engine does instead: no caller waits for a model.
"""
