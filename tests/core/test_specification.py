"""The test kit itself: what it accepts, and what it says when it does not."""

from __future__ import annotations

import pytest
from msgspec import Struct
from msgspec.structs import replace

from core.decider import CommandRejected, Decider, Rejected
from core.identifiers import Category
from core.specification import given


class Light(Struct, frozen=True):
    on: bool = False
    switched: int = 0


class Switch(Struct, frozen=True):
    on: bool
    by: str = "me"


class Switched(Struct, frozen=True):
    on: bool
    by: str = "me"


class Glow(Struct, frozen=True):
    pass


def decide(state: Light, command: Switch) -> tuple[Switched, ...] | Rejected:
    if command.by == "nobody":
        return Rejected("nobody", "somebody has to do it")
    return (Switched(command.on, command.by),) if command.on is not state.on else ()


light: Decider[Light, Switch, Switched, Glow] = Decider(
    category=Category.SESSION,
    initial=Light(),
    decide=decide,
    evolve=lambda state, event: replace(state, on=event.on, switched=state.switched + 1),
    is_terminal=lambda state: state.switched >= 3,
    wanted=lambda state: frozenset({Glow()}) if state.on else frozenset(),
    opens_work=lambda event: event.on,
)


def test_a_sentence_can_go_through_several_commands() -> None:
    (
        given(light)
        .when(Switch(True)).then(Switched(True)).wants(Glow()).leads_to(on=True, switched=1)
        .when(Switch(True)).then().wants(Glow())
        .when(Switch(False, "nobody")).rejected("nobody").leads_to(lambda state: state.on)
        .when(Switch(False)).then(Switched(False)).wants()
        .when(Switch(True)).ends()
    )  # fmt: skip


def test_recorded_rejections_may_stand_among_the_given_events() -> None:
    given(light, Switched(True), CommandRejected("nobody", ""), state=Light(False, 7)).leads_to(on=True, switched=8)


def test_other_events_fail_with_both_lists_and_the_field_at_fault() -> None:
    with pytest.raises(AssertionError, match=r"(?s)expected\n  Switched\(.*'you'\)\nbut got\n.*differs in by"):
        given(light).when(Switch(True)).then(Switched(True, "you"))


def test_a_missing_event_fails() -> None:
    with pytest.raises(AssertionError, match="but got\n  nothing"):
        given(light).when(Switch(False)).then(Switched(False))


def test_an_unexpected_rejection_fails_and_is_shown() -> None:
    with pytest.raises(AssertionError, match="somebody has to do it"):
        given(light).when(Switch(True, "nobody")).then(Switched(True))


@pytest.mark.parametrize("command", [Switch(True), Switch(True, "nobody")])
def test_a_missing_or_other_rejection_fails(command: Switch) -> None:
    with pytest.raises(AssertionError, match="expected Rejected 'broken'"):
        given(light).when(command).rejected("broken")


def test_other_effects_fail() -> None:
    with pytest.raises(AssertionError, match=r"but wanted\n  nothing"):
        given(light).wants(Glow())


def test_another_state_fails_with_the_fields_at_fault() -> None:
    with pytest.raises(AssertionError, match="switched: expected 2, found 0"):
        given(light).leads_to(on=False, switched=2)
    with pytest.raises(AssertionError, match="predicate"):
        given(light).leads_to(lambda state: state.on)


def test_a_state_that_goes_on_is_no_end() -> None:
    with pytest.raises(AssertionError, match="terminal"):
        given(light).ends()


def test_a_decider_that_is_no_function_is_found_out() -> None:
    answers = iter([(Switched(True),), ()])
    fickle: Decider[Light, Switch, Switched, Glow] = Decider(
        Category.SESSION, Light(), lambda _state, _command: next(answers), light.evolve, light.is_terminal,
        light.wanted, light.opens_work,
    )  # fmt: skip
    with pytest.raises(AssertionError, match="twice"):
        given(fickle).when(Switch(True))
