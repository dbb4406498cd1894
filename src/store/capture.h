// Directories of captures.
#ifndef KIRO_STORE_CAPTURE_H
#define KIRO_STORE_CAPTURE_H

#include <vector>

#include "core/capture/capture.h"

namespace kiro::store {

// A directory for the files below place.dir; as many of the oldest captures leave as have to.
// False: f is set and nothing is left of it. True with a f->kind: f is a warning.
bool write_capture(const kiro_capture_place &place, const std::vector<capture::File> &files, kiro_failure *f);

} // namespace kiro::store

#endif
