"""How the agent and the caller take turns, as a template sets it."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from breeze_buddy.domain.back_channels import usual_in

LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
FLUENT_WAIT_MS = 500


class Turns(BaseModel):
    """When the caller's turn is over, what interrupts the agent, and what silence means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    end_of_turn_ms: int = Field(
        700, ge=200, le=5000, description="silence that ends the caller's turn, before the caller's pauses are known"
    )
    end_of_turn_min_ms: int | None = Field(
        None, ge=200, le=5000, description="the least for a fluent speaker; None: 500, or end_of_turn_ms if it is less"
    )
    end_of_turn_max_ms: int | None = Field(
        None, ge=200, le=10_000, description="the most for one who pauses long; None: twice end_of_turn_ms"
    )
    no_input_s: float = Field(6.0, ge=1, le=60, description="silence after which the question is asked again")
    max_silences: int = Field(
        12, ge=1, le=50, description="silences in a row, in whatever nodes, after which the agent hangs up"
    )
    barge_in: bool = Field(True, description="the caller may interrupt the agent")
    barge_in_min_ms: int = Field(
        0, ge=0, le=3000, description="speech of this length interrupts; 0: as soon as it is speech, after some 0.13 s"
    )
    barge_in_min_words: int = Field(
        0,
        ge=0,
        le=10,
        description="only so many words interrupt, when they are understood, and fewer are not an answer; "
        "0 and 1: the length decides, and the agent goes on when it was no word",
    )
    back_channels: dict[LanguageCode, tuple[str, ...]] = Field(
        {},
        description="by language: what callers say to show that they listen, which is no interruption; "
        "a language that is not named has the usual ones, such as mm-hm and okay",
    )
    unheard: str = Field("I cannot hear you. Goodbye.", max_length=500, description="said after max_silences")
    time_is_up: str = Field(
        "I am sorry, our time is up. Goodbye.", max_length=500, description="said some seconds before max_call_s"
    )

    @model_validator(mode="after")
    def _waits_in_order(self) -> Self:
        least, most = self.end_of_turn_min_ms, self.end_of_turn_max_ms
        if (least or 0) > self.end_of_turn_ms or (most is not None and most < self.end_of_turn_ms):
            raise ValueError("end_of_turn_ms lies between end_of_turn_min_ms and end_of_turn_max_ms")
        return self

    @property
    def least_wait_ms(self) -> int:
        """The silence that ends the turn of a fluent speaker."""
        return min(FLUENT_WAIT_MS, self.end_of_turn_ms) if self.end_of_turn_min_ms is None else self.end_of_turn_min_ms

    @property
    def most_wait_ms(self) -> int:
        """The silence that ends the turn of a speaker who pauses long."""
        return 2 * self.end_of_turn_ms if self.end_of_turn_max_ms is None else self.end_of_turn_max_ms

    def back_channels_in(self, language: str) -> tuple[str, ...]:
        """The words that do not interrupt, for the language of the transcriber, such as en or en-GB."""
        own = self.back_channels.get(language.split("-")[0].lower())
        return usual_in(language) if own is None else own
