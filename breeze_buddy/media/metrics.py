"""What a media server tells Prometheus of its load, in the text exposition format 0.0.4."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(*, streams: int, capacity: int, draining: bool) -> bytes:
    """Gauges: streams that are live, how many there may be, their ratio, and 1 while the server drains."""
    gauges = {
        "breeze_media_streams": ("Live streams.", streams),
        "breeze_media_streams_capacity": ("Streams that this media server takes at once.", capacity),
        "breeze_media_load_ratio": ("Live streams over capacity.", round(streams / capacity, 4)),
        "breeze_media_draining": ("1 while no new streams are taken.", int(draining)),
    }
    lines = [
        f"# HELP {name} {help_text}\n# TYPE {name} gauge\n{name} {value}\n"
        for name, (help_text, value) in gauges.items()
    ]
    return "".join(lines).encode()
