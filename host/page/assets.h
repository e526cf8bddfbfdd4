/* The style sheet, the script and the controls of a page: host/page/page.css, page.js and
 * controls.html, which cmake/Assets.cmake turns into these tables. */
#ifndef CCU_PAGE_ASSETS_H
#define CCU_PAGE_ASSETS_H

#include <stddef.h>

typedef struct ccu_asset {
    const char *bytes;
    size_t      count;
} ccu_asset;

extern const ccu_asset ccu_asset_css;
extern const ccu_asset ccu_asset_js;
extern const ccu_asset ccu_asset_controls;
/* What a Content-Security-Policy calls the script: sha256-... of its bytes. */
extern const char *const ccu_asset_js_hash;

#endif
