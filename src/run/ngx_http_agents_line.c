
/*
 * The lines in front of a cluster, one for each user.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_agents_line.h"


static void ngx_http_agents_line_rest(ngx_http_agents_lines_t *lines,
    ngx_http_agents_line_t *line, uint32_t round);
static void ngx_http_agents_line_forget(ngx_http_agents_lines_t *lines,
    uint32_t round);


void
ngx_http_agents_line_init(ngx_http_agents_lines_t *lines, ngx_log_t *log)
{
    ngx_rbtree_init(&lines->users, &lines->sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&lines->rounds[0]);
    ngx_queue_init(&lines->rounds[1]);
    ngx_queue_init(&lines->resting);

    lines->log = log;
}


/* Lines are looked up by the two names with a NUL between them, which neither
 * can have. */

ngx_http_agents_line_t *
ngx_http_agents_line_get(ngx_http_agents_lines_t *lines,
    const ngx_http_agents_owner_t *owner, uint32_t round)
{
    u_char                  *p;
    size_t                   company, user;
    uint32_t                 hash;
    ngx_str_t                name;
    ngx_http_agents_line_t  *line;

    company = ngx_strlen(owner->company);
    user = ngx_strlen(owner->user);

    line = ngx_alloc(sizeof(ngx_http_agents_line_t) + company + 1 + user,
                     lines->log);
    if (line == NULL) {
        return NULL;
    }

    name.data = (u_char *) line + sizeof(ngx_http_agents_line_t);
    name.len = company + 1 + user;

    p = ngx_cpymem(name.data, owner->company, company);
    *p++ = '\0';
    ngx_memcpy(p, owner->user, user);

    hash = ngx_crc32_long(name.data, name.len);

    p = (u_char *) ngx_str_rbtree_lookup(&lines->users, &name, hash);

    if (p != NULL) {
        ngx_free(line);
        return (ngx_http_agents_line_t *) p;
    }

    line->node.str = name;
    line->node.node.key = hash;
    line->round = round - 1;

    ngx_queue_init(&line->places);
    ngx_rbtree_insert(&lines->users, &line->node.node);
    ngx_queue_insert_tail(&lines->resting, &line->queue);

    return line;
}


uint32_t
ngx_http_agents_line_round(ngx_http_agents_line_t *line, uint32_t round)
{
    if (!ngx_queue_empty(&line->places)) {
        return line->round;
    }

    return (line->round == round) ? round + 1 : round;
}


/* Those of the next round may be what is left of the last one, too. */

ngx_http_agents_line_t *
ngx_http_agents_line_first(ngx_http_agents_lines_t *lines, uint32_t round)
{
    ngx_queue_t  *queue;

    queue = &lines->rounds[round & 1];

    if (ngx_queue_empty(queue)) {
        queue = &lines->rounds[(round + 1) & 1];
    }

    if (ngx_queue_empty(queue)) {
        return NULL;
    }

    return ngx_queue_data(ngx_queue_head(queue), ngx_http_agents_line_t,
                          queue);
}


void
ngx_http_agents_line_join(ngx_http_agents_lines_t *lines,
    ngx_http_agents_line_t *line, ngx_queue_t *place, uint32_t round)
{
    if (ngx_queue_empty(&line->places)) {
        line->round = ngx_http_agents_line_round(line, round);

        ngx_queue_remove(&line->queue);
        ngx_queue_insert_tail(&lines->rounds[line->round & 1], &line->queue);
    }

    ngx_queue_insert_tail(&line->places, place);
}


void
ngx_http_agents_line_leave(ngx_http_agents_lines_t *lines,
    ngx_http_agents_line_t *line, ngx_queue_t *place, uint32_t round)
{
    ngx_queue_remove(place);

    if (ngx_queue_empty(&line->places)) {

        /* the turn that it waited for was not had */

        line->round--;
        ngx_http_agents_line_rest(lines, line, round);
    }
}


void
ngx_http_agents_line_served(ngx_http_agents_lines_t *lines,
    ngx_http_agents_line_t *line, uint32_t turn, uint32_t round)
{
    line->round = turn;

    if (ngx_queue_empty(&line->places)) {
        ngx_http_agents_line_rest(lines, line, round);
        return;
    }

    line->round++;

    if ((int32_t) (line->round - round) < 0) {

        /* turns that were missed are not made up for */

        line->round = round;
    }

    ngx_queue_remove(&line->queue);
    ngx_queue_insert_tail(&lines->rounds[line->round & 1], &line->queue);
}


static void
ngx_http_agents_line_rest(ngx_http_agents_lines_t *lines,
    ngx_http_agents_line_t *line, uint32_t round)
{
    ngx_queue_remove(&line->queue);
    ngx_queue_insert_tail(&lines->resting, &line->queue);

    ngx_http_agents_line_forget(lines, round);
}


/*
 * In order of their last turns, near enough: one that left without its turn
 * may keep some behind it a little longer.
 */

static void
ngx_http_agents_line_forget(ngx_http_agents_lines_t *lines, uint32_t round)
{
    ngx_queue_t             *q;
    ngx_http_agents_line_t  *line;

    while (!ngx_queue_empty(&lines->resting)) {
        q = ngx_queue_head(&lines->resting);
        line = ngx_queue_data(q, ngx_http_agents_line_t, queue);

        if (line->round == round) {
            return;
        }

        ngx_queue_remove(q);
        ngx_rbtree_delete(&lines->users, &line->node.node);
        ngx_free(line);
    }
}
