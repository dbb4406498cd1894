
/*
 * Which module is loaded: its version and the build id that the linker has put
 * into it.  A reload keeps the library that is mapped already, whatever stands at
 * its path by now; the master says so when the two differ.
 */


#include "ngx_http_kiro.h"

#include <elf.h>
#include <link.h>


#define NGX_HTTP_KIRO_BUILD_MAX      32       /* bytes of an id */
#define NGX_HTTP_KIRO_BUILD_HEADERS  64
#define NGX_HTTP_KIRO_BUILD_NOTES    65536    /* bytes of a segment */


typedef struct {
    ElfW(Addr)                       address;     /* of something of ours */
    size_t                           len;
    u_char                           id[NGX_HTTP_KIRO_BUILD_MAX];
} ngx_http_kiro_build_t;


static int ngx_http_kiro_build_object(struct dl_phdr_info *info, size_t size,
    void *data);
static size_t ngx_http_kiro_build_note(u_char *p, size_t len, size_t align,
    u_char *id);
static ngx_int_t ngx_http_kiro_build_file(ngx_str_t *text);
static ngx_int_t ngx_http_kiro_build_read(ngx_fd_t fd, u_char *id, size_t *len);
static void ngx_http_kiro_build_text(u_char *id, size_t len, ngx_str_t *text,
    u_char *buf);
static void ngx_http_kiro_build_compare(ngx_log_t *log);


/* found once, before the file can change; empty path: a part of nginx itself */

static u_char  ngx_http_kiro_build_hex[2 * NGX_HTTP_KIRO_BUILD_MAX];
static char    ngx_http_kiro_build_path[NGX_MAX_PATH];

ngx_str_t  ngx_http_kiro_build = ngx_null_string;


ngx_int_t
ngx_http_kiro_build_init(ngx_cycle_t *cycle)
{
    ngx_http_kiro_build_t  build;

    if (ngx_http_kiro_build.len) {

        if (!ngx_test_config) {
            ngx_http_kiro_build_compare(cycle->log);
        }

        return NGX_OK;
    }

    ngx_memzero(&build, sizeof(ngx_http_kiro_build_t));

    build.address = (ElfW(Addr)) (uintptr_t) &ngx_http_kiro_build_hex;

    (void) dl_iterate_phdr(ngx_http_kiro_build_object, &build);

    ngx_http_kiro_build_text(build.id, build.len, &ngx_http_kiro_build,
                             ngx_http_kiro_build_hex);

    if (!ngx_test_config) {
        ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                      "ngx_http_kiro_module " NGX_HTTP_KIRO_VERSION
                      ", build %V", &ngx_http_kiro_build);
    }

    return NGX_OK;
}


static int
ngx_http_kiro_build_object(struct dl_phdr_info *info, size_t size, void *data)
{
    ngx_http_kiro_build_t *build = data;

    size_t             len;
    ngx_uint_t         i;
    const ElfW(Phdr)  *ph;

    ph = info->dlpi_phdr;

    for (i = 0; i < info->dlpi_phnum; i++) {

        if (ph[i].p_type == PT_LOAD
            && build->address - (info->dlpi_addr + ph[i].p_vaddr)
               < ph[i].p_memsz)
        {
            break;
        }
    }

    if (i == info->dlpi_phnum) {
        return 0;
    }

    len = ngx_strlen(info->dlpi_name);

    if (len < sizeof(ngx_http_kiro_build_path)) {
        ngx_memcpy(ngx_http_kiro_build_path, info->dlpi_name, len + 1);
    }

    for (i = 0; i < info->dlpi_phnum && build->len == 0; i++) {

        if (ph[i].p_type == PT_NOTE) {
            build->len = ngx_http_kiro_build_note(
                             (u_char *) (uintptr_t) (info->dlpi_addr
                                                     + ph[i].p_vaddr),
                             ph[i].p_memsz, ph[i].p_align, build->id);
        }
    }

    return 1;
}


/* the length of the id, 0: there is none among these notes */

static size_t
ngx_http_kiro_build_note(u_char *p, size_t len, size_t align, u_char *id)
{
    size_t      name, desc;
    ElfW(Nhdr)  note;

    align = (align == 8) ? 8 : 4;

    while (len >= sizeof(note)) {

        ngx_memcpy(&note, p, sizeof(note));

        name = ngx_align(sizeof(note) + note.n_namesz, align);
        desc = ngx_align((size_t) note.n_descsz, align);

        if (note.n_namesz > len || note.n_descsz > len || name > len
            || note.n_descsz > len - name)
        {
            return 0;
        }

        if (note.n_type == NT_GNU_BUILD_ID
            && note.n_namesz == sizeof("GNU")
            && ngx_memcmp(p + sizeof(note), "GNU", sizeof("GNU")) == 0
            && note.n_descsz && note.n_descsz <= NGX_HTTP_KIRO_BUILD_MAX)
        {
            ngx_memcpy(id, p + name, note.n_descsz);
            return note.n_descsz;
        }

        desc = ngx_min(desc, len - name);

        p += name + desc;
        len -= name + desc;
    }

    return 0;
}


/* of what stands at the module's path now */

static ngx_int_t
ngx_http_kiro_build_file(ngx_str_t *text)
{
    size_t     len;
    ngx_fd_t   fd;
    ngx_int_t  rc;
    u_char     id[NGX_HTTP_KIRO_BUILD_MAX];

    static u_char  hex[2 * NGX_HTTP_KIRO_BUILD_MAX];

    fd = ngx_open_file(ngx_http_kiro_build_path, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        return NGX_ERROR;
    }

    rc = ngx_http_kiro_build_read(fd, id, &len);

    (void) ngx_close_file(fd);

    ngx_http_kiro_build_text(id, len, text, hex);

    return rc;
}


static ngx_int_t
ngx_http_kiro_build_read(ngx_fd_t fd, u_char *id, size_t *len)
{
    u_char      *notes;
    size_t       size;
    ssize_t      n;
    ngx_uint_t   i;
    ElfW(Ehdr)   head;
    ElfW(Phdr)   ph[NGX_HTTP_KIRO_BUILD_HEADERS];

    *len = 0;

    if (pread(fd, &head, sizeof(head), 0) != (ssize_t) sizeof(head)
        || ngx_memcmp(head.e_ident, ELFMAG, SELFMAG) != 0
        || head.e_phentsize != sizeof(ElfW(Phdr))
        || head.e_phnum == 0 || head.e_phnum > NGX_HTTP_KIRO_BUILD_HEADERS)
    {
        ngx_set_errno(0);
        return NGX_ERROR;
    }

    size = head.e_phnum * sizeof(ElfW(Phdr));

    if (pread(fd, ph, size, head.e_phoff) != (ssize_t) size) {
        ngx_set_errno(0);
        return NGX_ERROR;
    }

    for (i = 0; i < head.e_phnum && *len == 0; i++) {

        if (ph[i].p_type != PT_NOTE
            || ph[i].p_filesz > NGX_HTTP_KIRO_BUILD_NOTES)
        {
            continue;
        }

        notes = ngx_alloc(ph[i].p_filesz + 1, ngx_cycle->log);
        if (notes == NULL) {
            return NGX_ERROR;
        }

        n = pread(fd, notes, ph[i].p_filesz, ph[i].p_offset);

        if (n > 0) {
            *len = ngx_http_kiro_build_note(notes, n, ph[i].p_align, id);
        }

        ngx_free(notes);
    }

    return NGX_OK;
}


static void
ngx_http_kiro_build_text(u_char *id, size_t len, ngx_str_t *text, u_char *buf)
{
    if (len == 0) {
        ngx_str_set(text, "unknown");
        return;
    }

    text->data = buf;
    text->len = ngx_hex_dump(buf, id, len) - buf;
}


static void
ngx_http_kiro_build_compare(ngx_log_t *log)
{
    ngx_str_t  there;

    if (ngx_http_kiro_build_path[0] == '\0') {
        return;
    }

    if (ngx_http_kiro_build_file(&there) != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                      "ngx_http_kiro_module: \"%s\" is gone or is no library any "
                      "more, the next start of nginx will fail; version "
                      NGX_HTTP_KIRO_VERSION ", build %V stays loaded",
                      ngx_http_kiro_build_path, &ngx_http_kiro_build);
        return;
    }

    if (there.len == ngx_http_kiro_build.len
        && ngx_strncmp(there.data, ngx_http_kiro_build.data, there.len) == 0)
    {
        return;
    }

    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "ngx_http_kiro_module: \"%s\" was replaced by build %V, which "
                  "a reload does not load; version " NGX_HTTP_KIRO_VERSION
                  ", build %V stays until nginx is restarted",
                  ngx_http_kiro_build_path, &there, &ngx_http_kiro_build);
}
