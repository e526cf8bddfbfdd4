/* Choices that a checkpoint's configuration makes and other modules act on. */
#ifndef CCU_BASE_KINDS_H
#define CCU_BASE_KINDS_H

/* Activation of an MLP. */
typedef enum ccu_act {
    CCU_ACT_NONE       = 0,
    CCU_ACT_QUICK_GELU = 1, /* x * sigmoid(1.702 x), OpenAI CLIP */
    CCU_ACT_GELU       = 2  /* 0.5 x (1 + erf(x / sqrt 2)), PyTorch GELU() */
} ccu_act;

/* Resampling filter, antialiased as in Pillow. */
typedef enum ccu_resample {
    CCU_RESAMPLE_BOX,
    CCU_RESAMPLE_BILINEAR,
    CCU_RESAMPLE_HAMMING,
    CCU_RESAMPLE_BICUBIC,
    CCU_RESAMPLE_LANCZOS
} ccu_resample;

#endif
