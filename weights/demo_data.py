"""Pictures, names and captions of the demo model, all taken from Debian packages.

  fonts-noto-color-emoji   one 136x128 bitmap per emoji, sequences (skin tones, ZWJ) included
  unicode-cldr-core        English names and keywords of the same code points
  fonts-symbola            black and white outlines of some of them: a style for testing only

Used by train_demo.py; nothing here is needed to run the model.
"""
import hashlib
import re
import xml.etree.ElementTree as ElementTree

from PIL import Image, ImageDraw, ImageFont

NOTO = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
SYMBOLA = "/usr/share/fonts/truetype/ancient-scripts/Symbola_hint.ttf"
CLDR = "/usr/share/unicode/cldr/common"
STRIKE_SIZE = 109           # the only bitmap strike in the Noto font: 109 ppem, 136x128 pixels
PICTURE = (136, 128)
HELD_OUT_ONE_IN = 6

COLOURS = "red orange yellow green blue purple brown black white".split()
COLOURED = re.compile(rf"^({'|'.join(COLOURS)}) (heart|circle|square|book|apple)$")
GENDERED = re.compile(r"^(man|woman) ")
TONE = re.compile(r",? ?(with )?(light|medium-light|medium|medium-dark|dark) skin tone")

# CLIP's default comes first, and is drawn more often than the others (see caption()).
TEMPLATES = [t.strip() for t in """
a photo of a {}.
{}
a {}.
the {}.
an emoji of {}.
an emoji of a {}.
the {} emoji.
a picture of a {}.
a picture of {}.
an image of a {}.
an icon of a {}.
a drawing of a {}.
a painting of a {}.
a sketch of a {}.
a cartoon {}.
a cartoon of the {}.
a photo of the {}.
a photo of {}.
this is a photo of {}.
this is a {}.
a good photo of a {}.
a bad photo of the {}.
a blurry photo of a {}.
a low resolution photo of the {}.
a close-up photo of a {}.
a cropped photo of the {}.
a bright photo of a {}.
a dark photo of the {}.
a jpeg corrupted photo of a {}.
a pixelated photo of the {}.
a photo of a large {}.
a photo of a small {}.
a photo of one {}.
a photo of my {}.
itap of a {}.
art of the {}.
a rendering of a {}.
a clean photo of the {}.
a photo of a nice {}.
the {} in a video game.
a sticker of a {}.
a symbol of a {}.
""".strip().splitlines()]
SKETCH_TEMPLATES = ["a black and white drawing of a {}.", "a sketch of the {}.",
                    "a black and white photo of a {}.", "a doodle of a {}.",
                    "a drawing of a {}.", "a photo of a {}."]


def friendly(name):
    """CLDR name -> the class name that goes into a prompt: 'flag: France' -> 'flag of france'."""
    name = name.lower().replace("’", "'")
    if name.startswith("flag: "):
        return "flag of " + name[6:]
    if name.startswith("keycap: "):
        return "keycap " + name[8:]
    return name.replace(": ", " with ")


def words(name):
    return re.findall(r"[\w'-]+", name)


def render_noto(font, text):
    image = Image.new("RGBA", PICTURE)
    ImageDraw.Draw(image).text((0, 0), text, font=font, embedded_color=True)
    return image


def noto_font():
    # Raqm shapes the GSUB ligatures, so that a sequence of code points is one picture.
    return ImageFont.truetype(NOTO, STRIKE_SIZE, layout_engine=ImageFont.Layout.RAQM)


def read_annotations():
    """-> {sequence: {"name": str, "keywords": [str]}} in file order."""
    entries = {}
    for folder in ("annotations", "annotationsDerived"):
        root = ElementTree.parse(f"{CLDR}/{folder}/en.xml").getroot()
        for node in root.iter("annotation"):
            entry = entries.setdefault(node.get("cp"), {"name": None, "keywords": []})
            if node.get("type") == "tts":
                entry["name"] = node.text.strip()
            else:
                entry["keywords"] = [k.strip() for k in node.text.split("|")]
    return {cp: e for cp, e in entries.items() if e["name"]}


def load_emoji():
    """All emoji the font can draw, as dicts, in CLDR order, with "held_out" set.

    Names that share one picture (Norway, Bouvet Island, ...) are one class: the name CLDR gives
    its shortest, then lowest, sequence, so that 'snowboarder' wins over its five skin tones,
    which this font draws the same. Code points without a picture draw as nothing.
    """
    font, entries, by_picture = noto_font(), read_annotations(), {}
    for text, entry in entries.items():
        picture = render_noto(font, text)
        if picture.getbbox() is None:
            continue
        key = hashlib.sha256(picture.tobytes()).digest()
        name = friendly(entry["name"])
        item = {"text": text, "cldr": entry["name"].lower().replace("’", "'"), "name": name,
                "base": TONE.sub("", name).rstrip(" ,:"), "picture": picture,
                "keywords": [k.lower() for k in entry["keywords"] if k.lower() != name][:8]}
        same = by_picture.get(key)
        if same is None or prefer(text, same["text"]):
            by_picture[key] = item
    items = list(by_picture.values())
    mark_held_out(items)
    return items


def prefer(text, other):
    """Which of two sequences with one picture names it; flags keep the better known country."""
    known = {"\U0001F1F3\U0001F1F4", "\U0001F1EB\U0001F1F7", "\U0001F1E6\U0001F1FA",
             "\U0001F1EA\U0001F1F8", "\U0001F1FA\U0001F1F8"}   # NO FR AU ES US
    if (text in known) != (other in known):
        return text in known
    return (len(text), text) < (len(other), other)


def mark_held_out(items):
    """The split rule: one in six, by SHA-256 of the name, of the emoji whose name combines
    known parts (a skin tone, a gender and an activity, or a colour and an object); an emoji is
    given back to training if one of its words is in fewer than three training names."""
    for item in items:
        name = item["name"]
        combined = "skin tone" in name or COLOURED.match(name) or GENDERED.match(name)
        bucket = int(hashlib.sha256(name.encode()).hexdigest(), 16) % HELD_OUT_ONE_IN
        item["held_out"] = bool(combined) and bucket == 0
    counts = {}
    for item in items:
        if not item["held_out"]:
            for word in set(words(item["name"])):
                counts[word] = counts.get(word, 0) + 1
    for item in items:
        if item["held_out"] and min(counts.get(w, 0) for w in words(item["name"])) < 3:
            item["held_out"] = False


def caption(rng, item, sketch):
    """-> (text, level); level 1 leaves the skin tone out, so the text fits sister emoji too."""
    if sketch:
        return rng.choice(SKETCH_TEMPLATES).format(item["base"]), 1
    name, level, draw = item["name"], 0, rng.random()
    if item["base"] != name and draw < 0.15:
        name, level = item["base"], 1
    elif draw > 0.92:
        name = item["cldr"]
    draw = rng.random()
    if draw < 0.30:
        return TEMPLATES[0].format(name), level
    if draw < 0.42 and item["keywords"]:
        some = rng.sample(item["keywords"], min(len(item["keywords"]), rng.randint(1, 3)))
        return ", ".join([name] + some), level
    return rng.choice(TEMPLATES).format(name), level


def render_symbola(items):
    """-> [(item, picture)] for the single code points Symbola draws, black on white."""
    font = ImageFont.truetype(SYMBOLA, 100)
    missing = bytes(font.getmask("\U0010FFFD"))
    pictures = []
    for item in items:
        if len(item["text"]) != 1 or bytes(font.getmask(item["text"])) == missing:
            continue
        left, top, right, bottom = font.getbbox(item["text"])
        if right - left < 8 or bottom - top < 8:
            continue
        glyph = Image.new("RGB", (right - left + 2, bottom - top + 2), "white")
        ImageDraw.Draw(glyph).text((1 - left, 1 - top), item["text"], font=font, fill="black")
        scale = min(116 / glyph.width, 116 / glyph.height)
        glyph = glyph.resize((round(glyph.width * scale), round(glyph.height * scale)),
                             Image.Resampling.BICUBIC)
        canvas = Image.new("RGB", PICTURE, "white")
        canvas.paste(glyph, ((PICTURE[0] - glyph.width) // 2, (PICTURE[1] - glyph.height) // 2))
        pictures.append((item, canvas))
    return pictures
