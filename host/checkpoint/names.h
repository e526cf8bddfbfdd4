/* Tensor names of the two layouts -> ccu_image_tensors and ccu_text_tensors. */
#ifndef CCU_CHECKPOINT_NAMES_H
#define CCU_CHECKPOINT_NAMES_H

#include "checkpoint/roles.h"
#include "checkpoint/shards.h"
#include "checkpoint/warn.h"

/* UNSUPPORTED if the tensors show an architecture that this build does not have (ResNet, SigLIP,
 * timm, ...), whatever the configuration says. */
clipcu_status ccu_names_refuse(const char *dir, const ccu_shards *shards, clipcu_error *error);

/* Clears config->image or ->text where the files hold not one tensor of that tower: a file of one
 * tower may come with the configuration of both. FORMAT if none is left. */
clipcu_status ccu_names_find_towers(const char *dir, const ccu_shards *shards, ccu_layout layout,
                                    ccu_model_config *config, clipcu_error *error);

/* Fills image, text and logit_scale of out by out->config; out->image.blocks and out->text.blocks
 * hold config's numbers of layers. Checks presence, shape and dtype of every tensor, and that the
 * files hold no further layers. Marks the entries in use. */
clipcu_status ccu_names_bind(const char *dir, ccu_shards *shards, ccu_layout layout,
                             ccu_checkpoint *out, clipcu_error *error);

/* One warning for every tensor that is neither used nor known to be superfluous. */
void ccu_names_warn_unused(const char *dir, const ccu_shards *shards, const ccu_warner *warner);

#endif
