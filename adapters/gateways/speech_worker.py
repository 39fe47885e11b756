"""The process that recognises speech: PocketSphinx holds the interpreter's lock, so it gets an interpreter of its own.

Its input is jobs: a line of JSON, a list of the clips' `[rate, channels, width, bytes]`, then the clips' frames. Its
output is one line of JSON each: first `{"ready": true}`, then a `transcript` or an `error` for each job. It ends with
its input.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from adapters.gateways.wav import SPEECH_RATE, Pcm, speech_of

NICENESS = 10
"""Recognising takes a whole core for seconds: whoever else wants it comes first."""
LONGEST_UTTERANCE = 30
"""Seconds that are recognised as one utterance; longer sound is cut where nobody speaks."""

Recognise = Callable[[bytes], str]


def main() -> None:
    os.nice(NICENESS)
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches all processes of a terminal; ours is ended by its owner
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    work(sys.stdin.buffer, answers, recogniser)


def work(jobs: BinaryIO, answers: BinaryIO, begin: Callable[[], Recognise]) -> None:
    """Answer all jobs, one after the other."""
    try:
        recognise = begin()
    except (ImportError, RuntimeError) as fault:
        _answer(answers, error=f"PocketSphinx cannot be used here: {fault}")
        return
    _answer(answers, ready=True)
    for clips in _jobs(jobs):
        try:
            _answer(answers, transcript=recognise(b"".join(map(speech_of, clips))))
        except (ValueError, RuntimeError) as fault:  # of this job alone
            _answer(answers, error=f"the audio cannot be recognised: {fault}")


def _jobs(jobs: BinaryIO) -> Iterator[list[Pcm]]:
    while line := jobs.readline():
        yield [
            Pcm(rate, channels, width, jobs.read(size)) for rate, channels, width, size in json.loads(line)
        ]  # fmt: skip


def _answer(answers: BinaryIO, **answer: Any) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


def recogniser() -> Recognise:
    """PocketSphinx with the English model it brings along. Raises ImportError, RuntimeError."""
    sphinx = importlib.import_module("pocketsphinx")
    decoder = sphinx.Decoder(samprate=SPEECH_RATE, loglevel="FATAL")

    def recognise(speech: bytes) -> str:
        utterances = [speech]
        if len(speech) > LONGEST_UTTERANCE * SPEECH_RATE * 2:
            utterances = [part.pcm for part in sphinx.Segmenter(sample_rate=SPEECH_RATE).segment(io.BytesIO(speech))]
        return " ".join(filter(None, map(hear, utterances)))

    def hear(utterance: bytes) -> str:
        decoder.start_utt()
        decoder.process_raw(utterance, full_utt=True)
        decoder.end_utt()
        heard = decoder.hyp()
        return "" if heard is None else str(heard.hypstr)

    return recognise


if __name__ == "__main__":
    main()
