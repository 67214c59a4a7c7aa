/* module.c: the record of mod_linkspan_python.so and its hooks. */
#define LSP_RECORD
#include "mod_linkspan_python.h"

#include <mpm_common.h>

static int forget(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary)
{
    (void)pool;
    (void)log;
    (void)temporary;
    lsp_is_named = 0;
    return OK;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_pre_config(forget, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(lsp_check, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(lsp_check_files, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(lsp_processes_start, NULL, NULL, APR_HOOK_MIDDLE);
    /* Behind mod_linkspan, and behind whoever else starts Python. */
    ap_hook_child_init(lsp_child_init, NULL, NULL, APR_HOOK_LAST);
    ap_hook_child_stopping(lsp_sessions_stop, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(linkspan, make_handler, lsp_make_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(linkspan_python) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, lsp_settings_make, NULL, lsp_directives, register_hooks, 0,
};
