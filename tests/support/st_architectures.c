/* Published configurations, cut to the keys that matter; the sparse ones are as sparse as this. */
#include "support/st_architectures.h"

#define QUICK CCU_ACT_QUICK_GELU
#define EXACT CCU_ACT_GELU
#define OPEN_TEXT(width, heads, layers)                                                            \
    "\"text_cfg\":{\"context_length\":77,\"vocab_size\":49408,\"width\":" width                    \
    ",\"heads\":" heads ",\"layers\":" layers "}}"
#define HF_H_TEXT                                                                                  \
    "\"text_config\":{\"bos_token_id\":0,\"eos_token_id\":2,\"hidden_act\":\"gelu\","              \
    "\"hidden_size\":1024,\"intermediate_size\":4096,\"num_attention_heads\":16,"                  \
    "\"num_hidden_layers\":24,\"model_type\":\"clip_text_model\"},"

const st_architecture ST_ARCHITECTURE[ST_ARCHITECTURES] = {
    { "ViT-B/32",
      "{\"architectures\":[\"CLIPModel\"],\"initializer_factor\":1.0,"
      "\"logit_scale_init_value\":2.6592,\"model_type\":\"clip\",\"projection_dim\":512,"
      "\"text_config\":{\"bos_token_id\":0,\"dropout\":0.0,\"eos_token_id\":2,"
      "\"model_type\":\"clip_text_model\"},\"torch_dtype\":\"float32\","
      "\"vision_config\":{\"dropout\":0.0,\"model_type\":\"clip_vision_model\"}}",
      "{\"embed_dim\":512,\"quick_gelu\":true,\"vision_cfg\":{\"image_size\":224,\"layers\":12,"
      "\"width\":768,\"patch_size\":32}," OPEN_TEXT("512", "8", "12"),
      { 12, 768, 12, 3072 }, { 12, 512, 8, 2048 }, 224, 32, 512, -1, QUICK, QUICK },
    { "ViT-B/32-256",
      "{\"model_type\":\"clip\",\"projection_dim\":512,\"text_config\":{\"hidden_act\":\"gelu\"},"
      "\"vision_config\":{\"hidden_act\":\"gelu\",\"image_size\":256}}",
      "{\"embed_dim\":512,\"vision_cfg\":{\"image_size\":256,\"layers\":12,\"width\":768,"
      "\"patch_size\":32}," OPEN_TEXT("512", "8", "12"),
      { 12, 768, 12, 3072 }, { 12, 512, 8, 2048 }, 256, 32, 512, 49407, EXACT, EXACT },
    { "ViT-B/16",
      "{\"model_type\":\"clip\",\"projection_dim\":512,\"text_config\":{\"eos_token_id\":2},"
      "\"text_config_dict\":null,\"vision_config\":{\"patch_size\":16},"
      "\"vision_config_dict\":null}",
      "{\"embed_dim\":512,\"vision_cfg\":{\"image_size\":224,\"layers\":12,\"width\":768,"
      "\"patch_size\":16}," OPEN_TEXT("512", "8", "12"),
      { 12, 768, 12, 3072 }, { 12, 512, 8, 2048 }, 224, 16, 512, -1, QUICK, EXACT },
    { "ViT-L/14", /* the legacy sub-objects win, with their defaults: eos_token_id is 49407 */
      "{\"model_type\":\"clip\",\"projection_dim\":768,\"text_config\":{\"eos_token_id\":2,"
      "\"hidden_size\":768,\"intermediate_size\":3072,\"num_attention_heads\":12},"
      "\"text_config_dict\":{\"hidden_size\":768,\"intermediate_size\":3072,"
      "\"num_attention_heads\":12,\"num_hidden_layers\":12,\"projection_dim\":768},"
      "\"vision_config\":{\"hidden_size\":1024},\"vision_config_dict\":{\"hidden_size\":1024,"
      "\"intermediate_size\":4096,\"num_attention_heads\":16,\"num_hidden_layers\":24,"
      "\"patch_size\":14,\"projection_dim\":768}}",
      "{\"embed_dim\":768,\"quick_gelu\":true,\"vision_cfg\":{\"image_size\":224,\"layers\":24,"
      "\"width\":1024,\"patch_size\":14}," OPEN_TEXT("768", "12", "12"),
      { 24, 1024, 16, 4096 }, { 12, 768, 12, 3072 }, 224, 14, 768, 49407, QUICK, QUICK },
    { "ViT-L/14@336",
      "{\"model_type\":\"clip\",\"projection_dim\":768,\"text_config\":{\"bos_token_id\":0,"
      "\"eos_token_id\":2,\"hidden_size\":768,\"intermediate_size\":3072,"
      "\"num_attention_heads\":12,\"projection_dim\":768},\"vision_config\":{"
      "\"hidden_size\":1024,\"image_size\":336,\"intermediate_size\":4096,"
      "\"num_attention_heads\":16,\"num_hidden_layers\":24,\"patch_size\":14}}",
      "{\"embed_dim\":768,\"vision_cfg\":{\"image_size\":336,\"layers\":24,\"width\":1024,"
      "\"patch_size\":14}," OPEN_TEXT("768", "12", "12"),
      { 24, 1024, 16, 4096 }, { 12, 768, 12, 3072 }, 336, 14, 768, -1, QUICK, EXACT },
    { "ViT-H/14",
      "{\"model_type\":\"clip\",\"projection_dim\":1024," HF_H_TEXT
      "\"vision_config\":{\"hidden_act\":\"gelu\",\"hidden_size\":1280,"
      "\"intermediate_size\":5120,\"num_attention_heads\":16,\"num_hidden_layers\":32,"
      "\"patch_size\":14}}",
      "{\"embed_dim\":1024,\"vision_cfg\":{\"image_size\":224,\"layers\":32,\"width\":1280,"
      "\"head_width\":80,\"patch_size\":14}," OPEN_TEXT("1024", "16", "24"),
      { 32, 1280, 16, 5120 }, { 24, 1024, 16, 4096 }, 224, 14, 1024, -1, EXACT, EXACT },
    { "ViT-H/14-378",
      "{\"model_type\":\"clip\",\"projection_dim\":1024," HF_H_TEXT
      "\"vision_config\":{\"hidden_act\":\"gelu\",\"hidden_size\":1280,\"image_size\":378,"
      "\"intermediate_size\":5120,\"num_attention_heads\":16,\"num_hidden_layers\":32,"
      "\"patch_size\":14}}",
      "{\"embed_dim\":1024,\"quick_gelu\":true,\"vision_cfg\":{\"image_size\":378,\"layers\":32,"
      "\"width\":1280,\"head_width\":80,\"patch_size\":14}," OPEN_TEXT("1024", "16", "24"),
      { 32, 1280, 16, 5120 }, { 24, 1024, 16, 4096 }, 378, 14, 1024, -1, EXACT, QUICK },
    { "ViT-g/14",
      "{\"model_type\":\"clip\",\"projection_dim\":1024," HF_H_TEXT
      "\"vision_config\":{\"hidden_act\":\"gelu\",\"hidden_size\":1408,"
      "\"intermediate_size\":6144,\"num_attention_heads\":16,\"num_hidden_layers\":40,"
      "\"patch_size\":14}}",
      "{\"embed_dim\":1024,\"vision_cfg\":{\"image_size\":224,\"layers\":40,\"width\":1408,"
      "\"head_width\":88,\"mlp_ratio\":4.3637,\"patch_size\":14}," OPEN_TEXT("1024", "16", "24"),
      { 40, 1408, 16, 6144 }, { 24, 1024, 16, 4096 }, 224, 14, 1024, -1, EXACT, EXACT },
    { "ViT-bigG/14",
      "{\"model_type\":\"clip\",\"projection_dim\":1280,\"text_config\":{\"eos_token_id\":2,"
      "\"hidden_act\":\"gelu\",\"hidden_size\":1280,\"intermediate_size\":5120,"
      "\"num_attention_heads\":20,\"num_hidden_layers\":32},\"vision_config\":{"
      "\"hidden_act\":\"gelu\",\"hidden_size\":1664,\"intermediate_size\":8192,"
      "\"num_attention_heads\":16,\"num_hidden_layers\":48,\"patch_size\":14}}",
      "{\"embed_dim\":1280,\"vision_cfg\":{\"image_size\":224,\"layers\":48,\"width\":1664,"
      "\"head_width\":104,\"mlp_ratio\":4.9231,\"patch_size\":14},"
      OPEN_TEXT("1280", "20", "32"),
      { 48, 1664, 16, 8192 }, { 32, 1280, 20, 5120 }, 224, 14, 1280, -1, EXACT, EXACT },
    { "TinyCLIP-ViT-61M/32-Text-29M",
      "{\"model_type\":\"clip\",\"text_config\":{\"num_hidden_layers\":9,\"hidden_act\":\"gelu\"},"
      "\"vision_config\":{\"hidden_size\":640,\"intermediate_size\":2560,"
      "\"num_attention_heads\":10,\"hidden_act\":\"gelu\"}}",
      "{\"embed_dim\":512,\"vision_cfg\":{\"image_size\":224,\"layers\":12,\"width\":640,"
      "\"patch_size\":32}," OPEN_TEXT("512", "8", "9"),
      { 12, 640, 10, 2560 }, { 9, 512, 8, 2048 }, 224, 32, 512, 49407, EXACT, EXACT },
    { "TinyCLIP-ViT-40M/32-Text-19M",
      "{\"model_type\":\"clip\",\"text_config\":{\"num_hidden_layers\":6,\"hidden_act\":\"gelu\"},"
      "\"vision_config\":{\"hidden_size\":512,\"intermediate_size\":2048,"
      "\"num_attention_heads\":8,\"hidden_act\":\"gelu\"}}",
      "{\"embed_dim\":512,\"vision_cfg\":{\"image_size\":224,\"layers\":12,\"width\":512,"
      "\"patch_size\":32}," OPEN_TEXT("512", "8", "6"),
      { 12, 512, 8, 2048 }, { 6, 512, 8, 2048 }, 224, 32, 512, 49407, EXACT, EXACT },
    { "TinyCLIP-ViT-39M/16-Text-19M",
      "{\"model_type\":\"clip\",\"text_config\":{\"num_hidden_layers\":6},\"vision_config\":{"
      "\"hidden_size\":512,\"intermediate_size\":2048,\"num_attention_heads\":8,"
      "\"patch_size\":16}}",
      "{\"embed_dim\":512,\"vision_cfg\":{\"image_size\":224,\"layers\":12,\"width\":512,"
      "\"patch_size\":16}," OPEN_TEXT("512", "8", "6"),
      { 12, 512, 8, 2048 }, { 6, 512, 8, 2048 }, 224, 16, 512, 49407, QUICK, EXACT },
    { "TinyCLIP-ViT-8M/16-Text-3M",
      "{\"model_type\":\"clip\",\"text_config\":{\"hidden_size\":256,\"intermediate_size\":1024,"
      "\"num_attention_heads\":4,\"num_hidden_layers\":3},\"vision_config\":{"
      "\"hidden_size\":256,\"intermediate_size\":1024,\"num_attention_heads\":4,"
      "\"num_hidden_layers\":10,\"patch_size\":16}}",
      "{\"embed_dim\":512,\"vision_cfg\":{\"image_size\":224,\"layers\":10,\"width\":256,"
      "\"patch_size\":16}," OPEN_TEXT("256", "4", "3"),
      { 10, 256, 4, 1024 }, { 3, 256, 4, 1024 }, 224, 16, 512, 49407, QUICK, EXACT },
};
