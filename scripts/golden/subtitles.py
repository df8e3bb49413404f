"""Subtitles that openai/whisper's own writers make.

    python scripts/golden/subtitles.py

writes shared/golden/subtitles/: segments.tsv, a line a segment or word with its kind, start, end (seconds) and text, and what
the writers make of them: NAME.srt and NAME.vtt for the OPTIONS below with words, plain.srt and plain.vtt without, plain.tsv
and plain.txt. Made with openai-whisper 20250625 (pip install --no-deps openai-whisper).
"""

import importlib.util
import io
import random
import sys
import types
from pathlib import Path

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "subtitles"
OPTIONS = {
    "words": {},
    "width20": dict(max_line_width=20),
    "width20_lines2": dict(max_line_width=20, max_line_count=2),
    "width42_lines1": dict(max_line_width=42, max_line_count=1),
    "width6_lines3": dict(max_line_width=6, max_line_count=3),
    "lines2": dict(max_line_count=2),
    "words3": dict(max_words_per_line=3),
    "words2_width9": dict(max_words_per_line=2, max_line_width=9),
    "words1_width30_lines2": dict(max_words_per_line=1, max_line_width=30, max_line_count=2),
    "highlight": dict(highlight_words=True),
    "highlight_width20_lines2": dict(highlight_words=True, max_line_width=20, max_line_count=2),
}
TEXTS = [
    " And so, my fellow Americans, ask not what your country can do for you,",
    " ask what you can do for your country.",
    " Élan vital: « l'été, ça ira », dit-il.",
    " Incomprehensibilities",
    " 你 好 ， 世 界 。",
    " One, two, three; 3.5 % of 1984.",
    " The end?",
    " No.",
    " It is late.",
]


def reference():
    """whisper.utils without the package around it, which wants numba; and there is a whisper.py beside this script."""
    sys.path.pop(0)
    package = types.ModuleType("whisper")
    package.__path__ = importlib.util.find_spec("whisper").submodule_search_locations
    sys.modules["whisper"] = package
    from whisper import utils

    return utils


def segments():
    """Words one after the other, with pauses short and long, some at once, over an hour and a hundred."""
    dice = random.Random(3)
    time, made = 0.32, []
    for number, text in enumerate(TEXTS):
        time += {2: 4.2, 5: 3.0, 6: 3600.0, 8: 360_000.0}.get(number, 0.0)
        # languages without spaces have none before their words
        spaced = "你" not in text
        words = []
        for word in text.split():
            end = round(time + dice.choice([0.02, 0.1, 0.26, 0.5005, 1.0]), 4)
            words.append(dict(word=" " * spaced + word, start=time, end=end))
            time = round(end + dice.choice([0.0] * 6 + [0.0004, 0.3, 1.0, 3.5]), 4)
        whole = "".join(word["word"] for word in words)
        made.append(dict(start=words[0]["start"], end=words[-1]["end"], text=whole, words=words))
    return made


def main():
    utils = reference()
    made = segments()
    OUT.mkdir(parents=True, exist_ok=True)
    rows = []
    for segment in made:
        rows.append(("segment", segment["start"], segment["end"], segment["text"]))
        rows += [("word", word["start"], word["end"], word["word"]) for word in segment["words"]]
    text = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    (OUT / "segments.tsv").write_text(text, encoding="utf-8")

    def write(writer, name, segments, options=None):
        file = io.StringIO()
        writer(str(OUT)).write_result({"segments": segments}, file, options)
        (OUT / f"{name}.{writer.extension}").write_text(file.getvalue(), encoding="utf-8")

    for writer in (utils.WriteSRT, utils.WriteVTT):
        for name, options in OPTIONS.items():
            write(writer, name, made, options)
    plain = [{key: value for key, value in segment.items() if key != "words"} for segment in made]
    plain.append(dict(start=400_000.0005, end=400_001.0015, text=" from a --> b "))
    for writer in (utils.WriteSRT, utils.WriteVTT, utils.WriteTSV, utils.WriteTXT):
        write(writer, "plain", plain)
    print(sum(file.stat().st_size for file in OUT.iterdir()), "bytes")


if __name__ == "__main__":
    main()
