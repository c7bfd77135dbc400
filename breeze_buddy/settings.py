"""The settings of every process, from the environment (or a `.env` file), read once by `breeze`.

Unset, they describe the embedded stack on one machine; against production the same code meets other
addresses by these settings alone.
"""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from breeze_buddy.domain.campaign import Pool

PREFIX = "/agent/voice/breeze-buddy"


class Settings(BaseSettings):
    """Each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    # Where things are
    database_url: str = Field(
        "sqlite+aiosqlite:///breeze.db", description="SQLAlchemy URL; postgresql+asyncpg://… in production"
    )
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    temporal_task_queue: str = "breeze-buddy"
    temporal_retention_days: int = Field(30, ge=1, le=3650, description="how long call history stays in Temporal")
    recordings_url: str = Field("file://recordings", description="fsspec URL: a folder, s3://…, gs://…")
    recordings_endpoint_url: str | None = Field(None, description="of an S3 service other than Amazon's")

    # How the world reaches us
    public_url: str = Field("http://127.0.0.1:8000", description="Twilio sends callbacks here and signs this URL")
    breeze_api_url: str = Field(
        "http://127.0.0.1:8000", description="where `breeze campaign` and the like find the API"
    )
    stream_url: str = Field(
        "ws://127.0.0.1:8001" + PREFIX + "/ws/twilio", description="the media server, as Twilio reaches it"
    )
    pod_isolation: bool = Field(False, description="answer at call time through the Smart Router (url=)")
    router_timeout_s: float = Field(
        3, gt=0, le=10, description="after so long without an allocation a call gets STREAM_URL"
    )

    # This media server among others
    pod_name: str | None = Field(None, max_length=100, description="unset: host:port")
    pod_stream_url: str | None = Field(None, description="this media server alone, as Twilio reaches it")
    pod_capacity: int = Field(50, ge=1, le=100_000, description="streams at once")
    pod_pool: Pool | None = Field(None, description="the pool of campaigns it serves; unset: the general one")
    drain_timeout_s: float = Field(
        30, ge=0, le=14_500, description="how long a media server that is told to stop lets calls finish"
    )

    # Twilio
    twilio_account_sid: str = ""
    twilio_auth_token: SecretStr = SecretStr("")
    twilio_phone_number: str | None = Field(None, description="default outbound caller id")
    twilio_api_base_url: str | None = Field(None, description="unset: the real one")
    twilio_cps: float = Field(
        1, gt=0, le=1000, description="calls that the account may begin a second, over all campaigns and processes"
    )
    calls_per_phone: int | None = Field(
        None, ge=1, le=1000, description="most calls to one phone number, over all campaigns; unset: no limit"
    )
    calls_per_phone_hours: float = Field(24, gt=0, le=24 * 366, description="in so many hours")

    # What our processes listen on
    api_host: str = "127.0.0.1"
    api_port: int = Field(8000, ge=0, le=65535)
    media_host: str = "127.0.0.1"
    media_port: int = Field(8001, ge=0, le=65535)
    api_key: SecretStr | None = Field(
        None, description="required on REST when set; must be set to listen beyond loopback"
    )

    # Secrets of our own
    stream_token_secret: SecretStr | None = Field(None, description="unset: derived from TWILIO_AUTH_TOKEN")
    stream_token_ttl_s: int = Field(900, ge=10, le=86_400)
    webhook_secret: SecretStr | None = Field(None, description="signs post-call webhooks; unset: derived")
    webhook_allow_private: bool = Field(False, description="let post-call webhooks go to private addresses")

    # What flows may ask
    http_request_hosts: str = Field(
        "", description="hosts that flows may ask: a.example.com, *.example.org, 10.0.0.7:8080"
    )
    http_request_allow_private: bool = Field(False, description="let requests of flows go to private addresses")

    # Limits
    body_max_bytes: int = Field(20_000_000, ge=1000, description="largest body of a request that is no file")
    upload_max_bytes: int = Field(500_000_000, ge=1000, description="largest file, which is never whole in memory")
    upload_max_rows: int = Field(1_000_000, ge=1, description="most leads in one file")

    # Speech
    whisper_model: Path | None = Field(None, description="a CTranslate2 Whisper folder; unset: the packaged tiny.en")
    vad_model: Path | None = Field(None, description="a Silero ONNX file; unset: the packaged one")
    speech_threads: int = Field(1, ge=1, le=64)
    playback_lead_ms: int = Field(
        200, ge=40, le=5000, description="how much sound is sent before it is due: what a stall may take unheard"
    )

    # Providers that templates may choose
    openai_api_key: SecretStr | None = Field(None, description="dialogue, speech, transcription, realtime, analysis")
    openai_base_url: str | None = Field(None, description="any endpoint of that interface; unset: OpenAI's")
    openai_fallback_api_key: SecretStr | None = Field(None, description="of the second endpoint for dialogue")
    openai_fallback_base_url: str | None = Field(None, description="unset: OpenAI's, with the other key")
    deepgram_api_key: SecretStr | None = None
    deepgram_base_url: str | None = Field(None, description="unset: wss://api.deepgram.com")
    elevenlabs_api_key: SecretStr | None = None
    elevenlabs_base_url: str | None = Field(None, description="unset: https://api.elevenlabs.io")
    livekit_plugins: str = Field("", description="LiveKit plugins that templates may use, such as cartesia,azure")

    # Times that a simulated stack shortens
    recording_wait_s: float = Field(300, gt=0, description="how long a finished lead waits for its recording")
    conversation_wait_s: float = Field(
        20, gt=0, description="how long a finished call waits for the media server's report"
    )
    status_check_s: float = Field(60, gt=0, description="silence after the ring time until Twilio is asked")
    lost_request_s: float = Field(
        120, gt=0, description="how long a request to Twilio that had no answer is looked for before it is given up"
    )

    log_level: str = "INFO"

    @property
    def stream_secret(self) -> str:
        """The key that signs stream tokens."""
        return self._secret(self.stream_token_secret, "stream")

    @property
    def webhook_signing_secret(self) -> str:
        return self._secret(self.webhook_secret, "webhook")

    def _secret(self, own: SecretStr | None, purpose: str) -> str:
        import hashlib
        import hmac

        if own is not None:
            return own.get_secret_value()
        key = self.twilio_auth_token.get_secret_value().encode()
        return hmac.new(key, f"breeze-buddy {purpose}".encode(), hashlib.sha256).hexdigest()
