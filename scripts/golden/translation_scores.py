"""Translations and right ones, line by line, with what sacrebleu makes of them.

    python scripts/golden/translation_scores.py

writes shared/golden/translate/score/NAME.found, NAME.right and expected.json: BLEU and chrF by their defaults. The lines are
made of a few sentences by leaving out, turning and changing words, so that every length and count comes about: `near` is
often right, `far` hardly ever, and `odd` has figures, marks, references of HTML, empty lines and other writing. Made with
sacrebleu 2.6.
"""

import json
import random
from pathlib import Path

import sacrebleu

OUT = Path(__file__).resolve().parents[2] / "shared" / "golden" / "translate" / "score"
LINES = """Où est la bibliothèque ?
Elle se trouve derrière la vieille église, à gauche du marché.
Nous ouvrons à neuf heures et fermons à six heures.
Le train pour Paris part à 7 h 45 du quai 2.
Je voudrais une tasse de thé, s'il vous plaît.
Les enfants jouaient dans le jardin quand il a commencé à pleuvoir.
Combien cela coûte-t-il ? Douze euros et cinquante centimes.
L'eau est froide, mais le soleil est chaud.""".split("\n")
ODD = """It cost 1,234.50 euros (about $1,300) - 5% more than in 2019-20.
He said: "yes &amp; no" &lt;twice&gt;; she didn't answer...
東京は日本の首都です。
a/b, c_d and e-mail: x@example.org!

3.14 2,71 .5 5. -7 7-8
«Bon !» dit-il — puis plus rien…""".split("\n")


def changed(line, rate, draw):
    words = line.split()
    out = []
    for word in words:
        kind = draw.random()
        if kind < rate / 3:
            continue
        out.append(draw.choice(words) if kind < rate * 2 / 3 else word)
    if len(out) > 2 and draw.random() < rate:
        i = draw.randrange(len(out) - 1)
        out[i], out[i + 1] = out[i + 1], out[i]
    return " ".join(out)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    draw = random.Random(5)
    expected = {}
    for name, lines, rate, count in (("near", LINES, 0.2, 40), ("far", LINES, 1.4, 25), ("odd", ODD, 0.4, 30)):
        right = [draw.choice(lines) for _ in range(count)]
        found = [changed(line, rate, draw) for line in right]
        for kind, rows in (("found", found), ("right", right)):
            (OUT / f"{name}.{kind}").write_text("\n".join(rows) + "\n")
        bleu, chrf = sacrebleu.corpus_bleu(found, [right]), sacrebleu.corpus_chrf(found, [right])
        expected[name] = dict(bleu=bleu.score, brevity_penalty=bleu.bp, chrf=chrf.score)
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    print(expected)


main()
