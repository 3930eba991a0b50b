
#include <stdint.h>
#include <string.h>
#include "ngx_http_agents_frames.h"


#define NGX_HTTP_AGENTS_FRAMES_PRELUDE  12
#define NGX_HTTP_AGENTS_FRAMES_LEAST    16      /* no headers, no payload */

/* Of a header's value: its type, and how long that is; 0: it says itself. */
#define NGX_HTTP_AGENTS_FRAMES_TEXT     7


static int ngx_http_agents_frames_size(ngx_http_agents_frames_t *frames,
    size_t *size);
static int ngx_http_agents_frames_read(ngx_http_agents_frames_t *frames,
    size_t size);
static int ngx_http_agents_frames_headers(ngx_http_agents_frame_t *frame,
    const unsigned char *p, size_t len);
static int ngx_http_agents_frames_value(const unsigned char *p, size_t len,
    size_t *skip, size_t *size);
static void ngx_http_agents_frames_name(
    char name[NGX_HTTP_AGENTS_FRAMES_NAME], const unsigned char *p,
    size_t len);
static uint32_t ngx_http_agents_frames_u32(const unsigned char *p);
static uint32_t ngx_http_agents_frames_crc(const unsigned char *p, size_t len);


void
ngx_http_agents_frames_init(ngx_http_agents_frames_t *frames, size_t max,
    ngx_http_agents_frames_pt on_frame, void *data)
{
    memset(frames, 0, sizeof(ngx_http_agents_frames_t));

    frames->max = max;
    frames->on_frame = on_frame;
    frames->data = data;
}


void
ngx_http_agents_frames_free(ngx_http_agents_frames_t *frames)
{
    ngx_http_agents_buf_free(&frames->buf);
}


int
ngx_http_agents_frames_feed(ngx_http_agents_frames_t *frames,
    const char *data, size_t len)
{
    int     rc;
    size_t  n, size;

    while (len != 0) {

        /* first the prelude, which says how much there is to come */

        size = NGX_HTTP_AGENTS_FRAMES_PRELUDE;

        if (frames->buf.len >= size
            && ngx_http_agents_frames_size(frames, &size) == -1)
        {
            return -1;
        }

        n = size - frames->buf.len;
        n = (n < len) ? n : len;

        ngx_http_agents_buf_add(&frames->buf, data, n);

        if (frames->buf.failed) {
            return -1;
        }

        data += n;
        len -= n;

        if (frames->buf.len < size || size == NGX_HTTP_AGENTS_FRAMES_PRELUDE) {
            continue;
        }

        rc = ngx_http_agents_frames_read(frames, size);

        ngx_http_agents_buf_reset(&frames->buf);

        if (rc != 0) {
            return rc;
        }
    }

    return 0;
}


static int
ngx_http_agents_frames_size(ngx_http_agents_frames_t *frames, size_t *size)
{
    size_t                total, headers;
    const unsigned char  *p;

    p = (unsigned char *) frames->buf.data;

    total = ngx_http_agents_frames_u32(p);
    headers = ngx_http_agents_frames_u32(p + 4);

    if (total < NGX_HTTP_AGENTS_FRAMES_LEAST || total > frames->max
        || headers > total - NGX_HTTP_AGENTS_FRAMES_LEAST
        || ngx_http_agents_frames_crc(p, 8)
           != ngx_http_agents_frames_u32(p + 8))
    {
        return -1;
    }

    *size = total;

    return 0;
}


static int
ngx_http_agents_frames_read(ngx_http_agents_frames_t *frames, size_t size)
{
    size_t                    headers;
    const unsigned char      *p;
    ngx_http_agents_frame_t   frame;

    p = (unsigned char *) frames->buf.data;
    headers = ngx_http_agents_frames_u32(p + 4);

    if (ngx_http_agents_frames_crc(p, size - 4)
        != ngx_http_agents_frames_u32(p + size - 4))
    {
        return -1;
    }

    memset(&frame, 0, sizeof(ngx_http_agents_frame_t));

    p += NGX_HTTP_AGENTS_FRAMES_PRELUDE;

    if (ngx_http_agents_frames_headers(&frame, p, headers) == -1) {
        return -1;
    }

    frame.payload = (const char *) p + headers;
    frame.len = size - NGX_HTTP_AGENTS_FRAMES_LEAST - headers;

    return frames->on_frame(frames->data, &frame);
}


static int
ngx_http_agents_frames_headers(ngx_http_agents_frame_t *frame,
    const unsigned char *p, size_t len)
{
    size_t                n, skip, size;
    const unsigned char  *name;

    while (len != 0) {
        n = *p;
        name = p + 1;

        if (n == 0 || n + 2 > len) {
            return -1;
        }

        p += n + 1;
        len -= n + 1;

        if (ngx_http_agents_frames_value(p, len, &skip, &size) == -1) {
            return -1;
        }

        if (*p == NGX_HTTP_AGENTS_FRAMES_TEXT) {

            if (n == 13 && memcmp(name, ":message-type", n) == 0) {
                ngx_http_agents_frames_name(frame->message, p + skip, size);

            } else if ((n == 11 && memcmp(name, ":event-type", n) == 0)
                       || (n == 15
                           && memcmp(name, ":exception-type", n) == 0)
                       || (n == 11 && memcmp(name, ":error-code", n) == 0))
            {
                ngx_http_agents_frames_name(frame->type, p + skip, size);
            }
        }

        p += skip + size;
        len -= skip + size;
    }

    return 0;
}


/* Where the value at p begins, behind its type, and how long it is. */

static int
ngx_http_agents_frames_value(const unsigned char *p, size_t len, size_t *skip,
    size_t *size)
{
    static const unsigned char  sizes[] = {
        0, 0, 1, 2, 4, 8,       /* true, false, integers */
        0, 0,                   /* bytes and text, with their length */
        8, 16                   /* a time, a UUID */
    };

    if (len == 0 || *p >= sizeof(sizes)) {
        return -1;
    }

    *skip = 1;
    *size = sizes[*p];

    if (*p == 6 || *p == NGX_HTTP_AGENTS_FRAMES_TEXT) {

        if (len < 3) {
            return -1;
        }

        *skip = 3;
        *size = ((size_t) p[1] << 8) | p[2];
    }

    return (*skip + *size <= len) ? 0 : -1;
}


/* A name that is too long is none that is known. */

static void
ngx_http_agents_frames_name(char name[NGX_HTTP_AGENTS_FRAMES_NAME],
    const unsigned char *p, size_t len)
{
    if (len < NGX_HTTP_AGENTS_FRAMES_NAME) {
        memcpy(name, p, len);
        name[len] = '\0';
    }
}


static uint32_t
ngx_http_agents_frames_u32(const unsigned char *p)
{
    return ((uint32_t) p[0] << 24) | ((uint32_t) p[1] << 16)
           | ((uint32_t) p[2] << 8) | p[3];
}


/* The CRC-32 of zlib, by halves of a byte. */

static uint32_t
ngx_http_agents_frames_crc(const unsigned char *p, size_t len)
{
    uint32_t  crc;

    static const uint32_t  table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
        0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c
    };

    for (crc = 0xffffffff; len != 0; p++, len--) {
        crc = table[(crc ^ *p) & 0x0f] ^ (crc >> 4);
        crc = table[(crc ^ (*p >> 4)) & 0x0f] ^ (crc >> 4);
    }

    return crc ^ 0xffffffff;
}
