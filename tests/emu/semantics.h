/* Kernels that use one instruction each, compared with what the manual says it does. */
#ifndef CCU_EMU_SEMANTICS_H
#define CCU_EMU_SEMANTICS_H

/* Each prints what differs and returns how much does. */
int semantics_of_warps();    /* semantics.cu */
int semantics_of_wgmma();    /* semantics_hopper.cu */
int semantics_of_tma();
int semantics_of_mbarriers();

#endif
