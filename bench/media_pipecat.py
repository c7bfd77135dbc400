"""The same conversation on Pipecat, as its documentation has it for Twilio: FastAPI on uvicorn with uvloop, Silero at
8 kHz, a pause that ends the turn, and instant fakes for recognition, model and speech.

Runs in a virtual environment of its own, without anything of ours. Prints its port; ends with SIGTERM.
"""

import socket
from collections.abc import AsyncGenerator
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

GREETING = "Hello, this is the shop."
REPLY = "Thank you, I have noted all of it, is there anything else that you want?"
SECONDS = {GREETING: 1.0, REPLY: 2.0}


class SaysYes(SegmentedSTTService):
    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame, None]:
        yield TranscriptionFrame("yes", "caller", time_now_iso8601(), finalized=True)


class Answers(FrameProcessor):
    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame(REPLY))
        await self.push_frame(LLMFullResponseEndFrame())


class Hums(TTSService):
    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        sound = b"\x00\x10\x00\xf0" * int(4000 * SECONDS.get(text.strip(), 2.0))
        yield TTSAudioRawFrame(sound, 8000, 1, context_id=context_id)


app = FastAPI()


@app.websocket("/")
async def stream(websocket: WebSocket) -> None:
    await websocket.accept()
    messages = websocket.iter_json()
    await anext(messages)
    start = (await anext(messages))["start"]
    transport = FastAPIWebsocketTransport(
        websocket,
        FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            add_wav_header=False,
            serializer=TwilioFrameSerializer(
                start["streamSid"], params=TwilioFrameSerializer.InputParams(auto_hang_up=False)
            ),
        ),
    )
    context = LLMContext()
    aggregators: Any = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(sample_rate=8000, params=VADParams(stop_secs=0.2)),
            user_turn_strategies=UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.4)]),
        ),
    )
    pipeline = Pipeline(
        [
            transport.input(),
            SaysYes(),
            aggregators.user(),
            Answers(),
            Hums(sample_rate=8000, push_start_frame=True, push_stop_frames=True, stop_frame_timeout_s=0.5),
            transport.output(),
            aggregators.assistant(),
        ]
    )
    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
        idle_timeout_secs=None,
    )

    @transport.event_handler("on_client_connected")
    async def connected(transport: object, client: object) -> None:
        await worker.queue_frames([TTSSpeakFrame(GREETING)])

    @transport.event_handler("on_client_disconnected")
    async def disconnected(transport: object, client: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


async def _main() -> None:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="websockets-sansio"))
    print(listening.getsockname()[1], flush=True)
    await server.serve([listening])


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main())
