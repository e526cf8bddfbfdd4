# The CLIP vision transformers that people use, by their published names: sizes from the
# configuration files of OpenAI, LAION, Apple, Meta and TinyCLIP.
#
#   image  (image size, patch, width, layers, heads, mlp)     text  (width, layers, heads)


def _vit(image, text, embed, act="gelu", **more):
    return dict(image=image, text=text, embed=embed, act=act, **more)


B32 = (224, 32, 768, 12, 12, 3072)
B_TEXT, L_TEXT, H_TEXT, BIGG_TEXT = (512, 12, 8), (768, 12, 12), (1024, 24, 16), (1280, 32, 20)
G14 = (224, 14, 1408, 40, 16, 6144)
BIGG14 = (224, 14, 1664, 48, 16, 8192)

ARCHITECTURES = {
    "ViT-B/32": _vit(B32, B_TEXT, 512, "quick_gelu"),
    "ViT-B/32-256": _vit((256, 32, 768, 12, 12, 3072), B_TEXT, 512),
    "ViT-B/16": _vit((224, 16, 768, 12, 12, 3072), B_TEXT, 512, "quick_gelu"),
    "ViT-L/14": _vit((224, 14, 1024, 24, 16, 4096), L_TEXT, 768, "quick_gelu"),
    "ViT-L/14@336": _vit((336, 14, 1024, 24, 16, 4096), L_TEXT, 768, "quick_gelu"),
    "TinyCLIP-61M/32": _vit((224, 32, 640, 12, 10, 2560), (512, 9, 8), 512),
    "TinyCLIP-40M/32": _vit((224, 32, 512, 12, 8, 2048), (512, 6, 8), 512),
    "TinyCLIP-39M/16": _vit((224, 16, 512, 12, 8, 2048), (512, 6, 8), 512),
    "TinyCLIP-8M/16": _vit((224, 16, 256, 10, 4, 1024), (256, 3, 4), 512),
    "ViT-H/14": _vit((224, 14, 1280, 32, 16, 5120), H_TEXT, 1024),
    "ViT-H/14-378": _vit((378, 14, 1280, 32, 16, 5120), H_TEXT, 1024, "quick_gelu"),
    "ViT-g/14": _vit(G14, H_TEXT, 1024),
    "ViT-bigG/14": _vit(BIGG14, BIGG_TEXT, 1280),
    "open_clip ViT-B/32": _vit(B32, B_TEXT, 512, layout="open_clip"),
    "open_clip ViT-L/14": _vit((224, 14, 1024, 24, 16, 4096), L_TEXT, 768, layout="open_clip",
                               half=True),
    "open_clip ViT-H/14-378": _vit((378, 14, 1280, 32, 16, 5120), H_TEXT, 1024, "quick_gelu",
                                   layout="open_clip", squash=True),
    "open_clip ViT-g/14": _vit(G14, H_TEXT, 1024, layout="open_clip", mlp_ratio=4.3637),
    "open_clip ViT-bigG/14": _vit(BIGG14, BIGG_TEXT, 1280, layout="open_clip", mlp_ratio=4.9231),
}

ADJECTIVES = "small large red wooden old shiny striped wet broken toy".split()
NOUNS = ("dog cat horse bird boat train bicycle car kite chair table clock book cake pizza orange "
         "umbrella bear zebra vase").split()
CLASS_NAMES = [f"{adjective} {noun}" for adjective in ADJECTIVES for noun in NOUNS]  # 200

TEXTS = [
    "a photo of a cat",
    "a photo of a dog.",
    "a photo of a dog in the snow, seen from far away",
    "It's 10:45 on platform 9 3/4 & the train hasn't left!",
    "Two people riding bicycles along a canal; a third one waits under the bridge.",
    "An extremely detailed description of an ordinary kitchen table: four legs, a scratched oak "
    "top, three cups (one of them empty), yesterday's newspaper, a bowl of green apples and a "
    "blue-and-white jug that somebody has filled with tulips; the light comes from the left.",
    "photosynthesis",
    "x",
]
