
/*
 * A reader of AWS's event stream encoding (application/vnd.amazon.eventstream),
 * fed in pieces.  Pure: no nginx; any thread.
 *
 *     u32 total length | u32 length of headers | u32 CRC-32 of these eight
 *     headers: u8 length, name, u8 type, value (type 7: u16 length, text)
 *     payload
 *     u32 CRC-32 of all before it
 */


#ifndef _NGX_HTTP_AGENTS_FRAMES_H_INCLUDED_
#define _NGX_HTTP_AGENTS_FRAMES_H_INCLUDED_


#include "ngx_http_agents_buf.h"


#define NGX_HTTP_AGENTS_FRAMES_NAME  64


typedef struct {
    char         message[NGX_HTTP_AGENTS_FRAMES_NAME];  /* event, exception,
                                                           error; or "" */
    char         type[NGX_HTTP_AGENTS_FRAMES_NAME];     /* of the event or the
                                                           exception; or "" */
    const char  *payload;
    size_t       len;
} ngx_http_agents_frame_t;


/* 0 to go on; anything else ends the feeding and is its result. */
typedef int (*ngx_http_agents_frames_pt)(void *data,
    const ngx_http_agents_frame_t *frame);


typedef struct {
    ngx_http_agents_buf_t       buf;        /* of the frame at hand */
    size_t                      max;        /* bytes of one frame */
    ngx_http_agents_frames_pt   on_frame;
    void                       *data;
} ngx_http_agents_frames_t;


void ngx_http_agents_frames_init(ngx_http_agents_frames_t *frames, size_t max,
    ngx_http_agents_frames_pt on_frame, void *data);
void ngx_http_agents_frames_free(ngx_http_agents_frames_t *frames);

/*
 * 0 when all was read, what on_frame returned if not 0, or -1: a frame is
 * broken or larger than "max", or there is no memory.
 */
int ngx_http_agents_frames_feed(ngx_http_agents_frames_t *frames,
    const char *data, size_t len);


#endif /* _NGX_HTTP_AGENTS_FRAMES_H_INCLUDED_ */
