"""Random distortions of the emoji bitmaps, as batched tensor operations. Used by train_demo.py.

Colours are only bent a little: 'green circle' and 'medium-dark skin tone' must stay true.
"""
import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from demo_model import MEAN, SIZE, STD

STORED = 80                 # pixels a side of the stored pictures: a frame-filling one is 1:1
SKETCH_SHARE = 0.08
JPEG_SHARE = 0.08


def uniform(low, high, *shape):
    return torch.rand(*shape) * (high - low) + low


def stored(picture):
    """136x128 RGBA -> premultiplied (4, 80, 80) bytes, on a square canvas."""
    square = Image.new("RGBA", (136, 136))
    square.paste(picture, (0, 4))
    pixels = np.asarray(square, dtype=np.float32)
    alpha = pixels[..., 3:]
    pixels = np.concatenate([pixels[..., :3] * alpha / 255, alpha], -1)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    tensor = F.interpolate(tensor, size=(STORED, STORED), mode="bicubic", antialias=True)
    return tensor[0].round().clamp(0, 255).byte()


class Augmenter:
    def __init__(self, pictures, rng):
        self.rng = rng
        self.pictures = torch.stack([stored(p) for p in pictures])

    def batch(self, indices):
        """-> normalised pixels (B, 3, 64, 64), and which of them were made sketches."""
        size, count = SIZE["image"], len(indices)
        source = self.pictures[indices].float() / 255
        grid = F.affine_grid(placement(count), (count, 4, size, size), align_corners=False)
        drawn = F.grid_sample(source, grid, padding_mode="zeros", align_corners=False)
        colour, alpha = drawn[:, :3], drawn[:, 3:]
        pixels = colour + (1 - alpha) * backgrounds(count, size)
        sketch = [self.rng.random() < SKETCH_SHARE for _ in range(count)]
        for i in range(count):
            if sketch[i]:
                white = colour[i] + (1 - alpha[i])
                pixels[i] = draw_sketch(white, self.rng)
        pixels = distort(pixels)
        for i in range(count):
            if self.rng.random() < JPEG_SHARE:
                pixels[i] = jpeg(pixels[i], self.rng.randint(25, 90))
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
        return (pixels - mean) / std, sketch


def placement(count):
    """Random inverse affine maps (B, 2, 3): size, shape, rotation, shift."""
    # Full frame as often as smaller: a saved emoji normally fills its picture.
    share = torch.where(torch.rand(count) < 0.5, uniform(0.85, 1.08, count),
                        uniform(0.45, 0.95, count))
    aspect = uniform(-0.07, 0.07, count).exp()
    angle = (torch.randn(count) * 6).clamp(-15, 15) * math.pi / 180
    angle = torch.where(torch.rand(count) < 0.4, torch.zeros(count), angle)
    room = (1 - share).clamp(min=0) + 0.06
    shift_x, shift_y = uniform(-1, 1, count) * room, uniform(-1, 1, count) * room
    cos, sin = angle.cos(), angle.sin()
    inverse_x, inverse_y = 1 / (share * aspect), aspect / share
    row_x = torch.stack([cos * inverse_x, sin * inverse_x,
                         -(cos * shift_x + sin * shift_y) * inverse_x], 1)
    row_y = torch.stack([-sin * inverse_y, cos * inverse_y,
                         (sin * shift_x - cos * shift_y) * inverse_y], 1)
    return torch.stack([row_x, row_y], 1)


def backgrounds(count, size):
    """White, plain colours, gradients, and smooth noise."""
    kind = torch.rand(count).view(-1, 1, 1, 1)
    plain = torch.rand(count, 3, 1, 1)
    ramp = F.interpolate(torch.rand(count, 3, 2, 2), size=(size, size), mode="bilinear",
                         align_corners=True)
    rough = F.interpolate(torch.rand(count, 3, 6, 6), size=(size, size), mode="bilinear",
                          align_corners=True)
    fine = (plain + torch.randn(count, 1, size, size) * 0.15).clamp(0, 1)
    grey = uniform(0.75, 1, count, 1, 1, 1).expand(-1, 3, -1, -1)
    out = torch.ones(count, 3, size, size)
    out = torch.where(kind > 0.28, grey, out)
    out = torch.where(kind > 0.36, plain, out)
    out = torch.where(kind > 0.62, ramp, out)
    out = torch.where(kind > 0.80, rough, out)
    return torch.where(kind > 0.92, fine, out)


def draw_sketch(white, rng):
    """Black strokes on white from the picture's edges, or its dark parts: (3, S, S)."""
    grey = white.mean(0, keepdim=True)
    if rng.random() < 0.6:
        dx = F.pad(white[:, :, 1:] - white[:, :, :-1], (0, 1)).abs().amax(0, keepdim=True)
        dy = F.pad(white[:, 1:] - white[:, :-1], (0, 0, 0, 1)).abs().amax(0, keepdim=True)
        ink = ((dx + dy) * rng.uniform(2, 5)).clamp(0, 1)
    else:
        ink = ((rng.uniform(0.4, 0.8) - grey) * 8 + 0.5).clamp(0, 1)
    return (1 - ink).expand(3, -1, -1)


def distort(pixels):
    count, _, height, width = pixels.shape
    gain = uniform(0.88, 1.12, count, 1, 1, 1) * uniform(0.96, 1.04, count, 3, 1, 1)
    pixels = pixels * gain
    mean = pixels.mean((1, 2, 3), keepdim=True)
    pixels = (pixels - mean) * uniform(0.85, 1.15, count, 1, 1, 1) + mean
    grey = (torch.rand(count, 1, 1, 1) < 0.04).float()
    pixels = pixels * (1 - grey) + pixels.mean(1, keepdim=True) * grey
    blurred = torch.rand(count) < 0.25
    if blurred.any():
        tap = uniform(0.1, 0.35, 1).item()
        line = torch.tensor([tap, 1 - 2 * tap, tap])
        kernel = (line[:, None] * line[None]).expand(3, 1, 3, 3)
        padded = F.pad(pixels[blurred], (1, 1, 1, 1), mode="replicate")
        pixels[blurred] = F.conv2d(padded, kernel, groups=3)
    noisy = (torch.rand(count, 1, 1, 1) < 0.3).float() * uniform(0, 0.05, count, 1, 1, 1)
    pixels = pixels + torch.randn_like(pixels) * noisy
    for i in torch.nonzero(torch.rand(count) < 0.12).flatten().tolist():    # occlusion
        h, w = (int(torch.randint(8, 20, (1,))) for _ in range(2))
        y, x = int(torch.randint(0, height - h, (1,))), int(torch.randint(0, width - w, (1,)))
        pixels[i, :, y:y + h, x:x + w] = torch.rand(3, 1, 1)
    return pixels.clamp(0, 1)


def jpeg(pixels, quality):
    array = (pixels.permute(1, 2, 0) * 255).round().byte().numpy()
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=quality)
    decoded = np.asarray(Image.open(buffer), dtype=np.float32) / 255
    return torch.from_numpy(decoded.copy()).permute(2, 0, 1)
