"""Zero-shot accuracy of an exported demo model, measured through transformers.

The pictures are clean and fixed: the 136x128 bitmap on white, prepared by CLIPImageProcessor.
A part is labelled with all the names of that part. Used by train_demo.py --eval.
"""
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizerFast

from demo_data import PICTURE, TEMPLATES, load_emoji, render_symbola


def on_white(picture):
    canvas = Image.new("RGB", PICTURE, "white")
    canvas.paste(picture, (0, 0), picture)
    return canvas


class Exported:
    def __init__(self, folder):
        self.model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = CLIPTokenizerFast.from_pretrained(folder)
        self.processor = CLIPImageProcessor.from_pretrained(folder)

    @torch.no_grad()
    def images(self, pictures):
        rows = []
        for i in range(0, len(pictures), 64):
            pixels = self.processor(pictures[i:i + 64], return_tensors="pt")["pixel_values"]
            pooled = self.model.vision_model(pixel_values=pixels).pooler_output
            rows.append(F.normalize(self.model.visual_projection(pooled), dim=-1))
        return torch.cat(rows)

    @torch.no_grad()
    def texts(self, texts):
        rows = []
        for i in range(0, len(texts), 256):
            tokens = self.tokenizer(texts[i:i + 256], padding=True, truncation=True,
                                    return_tensors="pt")
            pooled = self.model.text_model(**tokens).pooler_output
            rows.append(F.normalize(self.model.text_projection(pooled), dim=-1))
        return torch.cat(rows)

    def classes(self, names, templates):
        """One unit vector a name: the normalised mean over the templates."""
        total = sum(self.texts([t.format(name) for name in names]) for t in templates)
        return F.normalize(total, dim=-1)


def accuracy(images, classes, answers):
    ranked = (images @ classes.T).topk(min(5, len(classes)), dim=1).indices
    hits = ranked == torch.tensor(answers)[:, None]
    return 100 * hits[:, 0].float().mean().item(), 100 * hits.any(1).float().mean().item()


def evaluate(folder, ensemble=True):
    exported, items = Exported(folder), load_emoji()
    symbola = render_symbola(items)
    names = [item["name"] for item in items]
    row_of = {name: i for i, name in enumerate(names)}
    images = exported.images([on_white(item["picture"]) for item in items])
    drawings = exported.images([picture for _, picture in symbola])
    parts = [("training", images, [i for i, x in enumerate(items) if not x["held_out"]], None),
             ("held-out", images, [i for i, x in enumerate(items) if x["held_out"]], None),
             ("held-out", images, [i for i, x in enumerate(items) if x["held_out"]], names),
             ("Symbola", drawings, [row_of[x["name"]] for x, _ in symbola], None)]
    prompts = [("a photo of a {}.", TEMPLATES[:1])]
    if ensemble:
        prompts.append((f"mean of {len(TEMPLATES)} templates", TEMPLATES))
    print("| pictures | count | names | prompt | top-1 % | top-5 % |\n|---|---|---|---|---|---|")
    for title, templates in prompts:
        classes = exported.classes(names, templates)
        for part, vectors, rows, against in parts:
            rows_used = list(range(len(names))) if against else rows
            place = {row: i for i, row in enumerate(rows_used)}
            pictures = vectors if vectors is drawings else vectors[rows]
            top1, top5 = accuracy(pictures, classes[rows_used], [place[r] for r in rows])
            print(f"| {part} | {len(rows)} | {len(rows_used)} | {title} | {top1:.1f} "
                  f"| {top5:.1f} |", flush=True)
