/* limits.c: what in the configuration will cut connections is said when the server starts. */
#include "mod_linkspan.h"

int ls_limits_check(apr_pool_t *pool, apr_pool_t *log, apr_pool_t *temporary, server_rec *server)
{
    (void)pool; (void)log; (void)temporary; (void)server;
    return OK;
}
