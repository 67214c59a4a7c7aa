/* module.c: the module's record and its hooks. */
#define LS_RECORD
#include "mod_linkspan.h"

#include <mpm_common.h>

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_pre_config(ls_handlers_forget, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(ls_limits_check, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(ls_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_stopping(ls_child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
    /* Behind SetHandler, which is obeyed among the first. */
    ap_hook_fixups(ls_claim, NULL, NULL, APR_HOOK_LAST);
    ap_hook_handler(ls_handle, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_suspend_connection(ls_suspended, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_pre_close_connection(ls_sync_pre_close, NULL, NULL, APR_HOOK_MIDDLE);
    ls_status_hooks();
    APR_REGISTER_OPTIONAL_FN(ls_count);
    APR_REGISTER_OPTIONAL_FN(ls_child_stopping);
    APR_REGISTER_OPTIONAL_FN(ls_child_time_left);
    APR_REGISTER_OPTIONAL_FN(ls_tunnel_to);
    ap_hook_log_transaction(ls_log_once, NULL, NULL, APR_HOOK_REALLY_FIRST);
}

AP_DECLARE_MODULE(linkspan) = {
    STANDARD20_MODULE_STUFF, ls_settings_make, ls_settings_merge, ls_server_make, NULL, ls_directives, register_hooks,
    0,
};
