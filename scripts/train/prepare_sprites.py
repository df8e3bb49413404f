#!/usr/bin/env python3
"""Chooses and captions the sprites that the embedded model of image-gen learns from.

    scripts/train/prepare_sprites.py TILES/ OUT/

TILES/  the tiles of Dungeon Crawl Stone Soup (crawl/tiles, CC0), with TILES_UNDER_UNKNOWN_LICENSE.md
OUT/    becomes a folder of pictures with metadata.jsonl; the folders below it are the kinds of things

What that list names is left out, and so is what is no picture of a thing: icons, numbers, parts that are laid over
others, pictures of another size than 32x32. Needs Pillow.
"""

import collections
import colorsys
import json
import pathlib
import re
import sys

from PIL import Image

# kind of thing by folder; the longest that fits holds
KINDS = {
    "dngn/altars": "altar", "dngn/doors": "door", "dngn/floor": "floor", "dngn/gateways": "gate",
    "dngn/shops": "shop", "dngn/statues": "statue", "dngn/traps": "trap", "dngn/trees": "tree",
    "dngn/wall": "wall", "dngn/water": "water", "effect": "effect", "item/amulet": "amulet",
    "item/armour": "armour", "item/book": "book", "item/food": "food", "item/gold": "gold",
    "item/potion": "potion", "item/ring": "ring", "item/rod": "rod", "item/scroll": "scroll",
    "item/staff": "staff", "item/wand": "wand", "item/weapon": "weapon", "item/misc": "item",
    "mon": "monster", "mon/abyss": "monster", "mon/animals": "animal", "mon/aquatic": "fish",
    "mon/demons": "demon", "mon/demonspawn": "demon", "mon/draco": "draconian", "mon/dragons": "dragon",
    "mon/eyes": "eye", "mon/fungi_plants": "plant", "mon/holy": "angel", "mon/nonliving": "elemental",
    "mon/spriggan": "spriggan", "mon/undead": "undead", "mon/unique": "hero", "mon/vault": "guard",
    "player/base": "person", "player/felids": "cat", "player/transform": "transform",
    "UNUSED/monsters": "monster", "UNUSED/weapons": "weapon", "UNUSED/armour": "armour", "UNUSED/food": "food",
}
# words that say nothing of the picture
SILENT = set("urand spwpn misc old new i f m n s e w ne nw se sw lorc bord of the and to e form small large tmp".split())
# words that people say for these
ALSO = {
    "natasha": "cat", "hound": "dog", "jackal": "dog", "wolf": "dog", "warg": "dog", "hog": "pig",
    "adder": "snake", "mamba": "snake", "viper": "snake", "anaconda": "snake", "yak": "cow", "bats": "bat",
    "katana": "sword", "falchion": "sword", "scimitar": "sword", "cutlass": "sword", "rapier": "sword",
    "dagger": "knife", "helmet": "helm", "drake": "dragon", "wyvern": "dragon", "tiamat": "dragon",
    "swordfish": "fish", "redback": "spider", "wizard": "mage", "kraken": "octopus", "octopode": "octopus",
    "choko": "fruit", "apple": "fruit", "lemon": "fruit", "apricot": "fruit", "banana": "fruit",
    "orange": "fruit", "grape": "fruit", "pear": "fruit", "strawberry": "fruit", "lychee": "fruit",
}
COLOURS = "red orange yellow green cyan blue purple magenta pink brown black grey gray white gold golden silver".split()
SKIPPED = re.compile(r"^i-|overlay|segment|guardian-eye|tentacle|vine_|kraken_tentacle|mask|wave|shoals|test_|cursed|halo")


def colour(picture):
    """The colour that a picture is mostly of, where it is mostly of one."""
    counts = collections.Counter()
    for red, green, blue, alpha in zip(*[iter(picture.tobytes())] * 4):
        if alpha < 128 or max(red, green, blue) < 40:
            continue
        hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
        if saturation < 0.22:
            counts["white" if value > 0.8 else "grey" if value > 0.3 else "black"] += 1
            continue
        hue *= 360
        name = next(name for end, name in [(16, "red"), (42, "orange"), (68, "yellow"), (165, "green"), (200, "cyan"),
                                           (255, "blue"), (290, "purple"), (340, "pink"), (361, "red")] if hue < end)
        if name == "orange":
            name = "brown" if value < 0.72 or saturation < 0.6 else "orange"
        counts[name] += 1
    if not counts:
        return "black"
    name, count = counts.most_common(1)[0]
    return name if count > 0.45 * sum(counts.values()) else None


def caption(kind, stem, picture):
    words = [word for word in re.findall(r"[a-z]+", stem.lower()) if word not in SILENT]
    also = [ALSO[word] for word in words if word in ALSO and ALSO[word] not in words]
    words = ["grey" if word == "gray" else word for word in words + also]
    if kind not in words and not (kind == "hero" and "cat" in words):
        words.append(kind)
    if kind == "transform":
        words.remove(kind)
    if kind == "cat":
        words = ["cat"]
    if not any(word in COLOURS for word in words):
        found = colour(picture)
        words = ([found] if found else []) + words
    return " ".join(dict.fromkeys(words))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    tiles, out = map(pathlib.Path, sys.argv[1:])
    unclear = (tiles / "TILES_UNDER_UNKNOWN_LICENSE.md").read_text()
    unclear = set(re.findall(r"([\w.-]+\.png)", unclear))
    lines, seen = [], set()
    for path in sorted(tiles.rglob("*.png")):
        place = path.relative_to(tiles)
        folder = "/".join(place.parts[:2]) if len(place.parts) > 2 else place.parts[0]
        kind = KINDS.get(folder)
        if kind is None or path.name in unclear or SKIPPED.search(path.stem):
            continue
        if kind == "effect" and not path.stem.startswith(("cloud", "flame", "icicle")):
            continue
        with Image.open(path) as stored:
            picture = stored.convert("RGBA")
        # walls and floors come in many that are alike
        alike = re.sub(r"\d+", "", path.stem) if kind in ("wall", "floor", "water") else None
        number = re.findall(r"\d+", path.stem)
        if picture.size != (32, 32) or (alike and number and int(number[-1]) % 3):
            continue
        if picture.tobytes() in seen or sum(alpha > 127 for alpha in picture.getchannel("A").tobytes()) < 40:
            continue
        seen.add(picture.tobytes())
        text = caption(kind, path.stem, picture)
        name = f"{kind}/{'-'.join(place.with_suffix('').parts)}.png"
        (out / kind).mkdir(parents=True, exist_ok=True)
        picture.save(out / name)
        words = text.split()
        # the few of what people ask for first are shown more often
        times = 6 if "cat" in words else 4 if "dragon" in words and kind != "armour" else 2 if place.parts[0] == "mon" else 1
        lines += [json.dumps({"file_name": name, "text": text})] * times
    (out / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    print(len(seen), "pictures,", len(lines), "lines")


if __name__ == "__main__":
    main()
