// SPDX-License-Identifier: MIT
#include "compression.hpp"

#include "checksum.hpp"

#include <libdeflate.h>
#include <stdexcept>

#ifdef ZBQ_MCAP_LZ4
#include <lz4frame.h>
#endif
#ifdef ZBQ_MCAP_ZSTD
#include <zstd.h>
#endif

namespace zbq::mcap {

std::uint32_t crc32(bytes data, std::uint32_t before) {
    // It takes no bytes at a null pointer for a new beginning.
    return data.empty() ? before : libdeflate_crc32(before, data.data(), data.size());
}

namespace {

using fault = std::optional<std::string>;

constexpr std::size_t step = std::size_t{256} << 10U;

struct progress {
    std::size_t taken = 0;
    std::size_t made = 0;
    bool ended = false;
    fault wrong;
};

// Feeds `more`, a call that takes input and room, to the end.
template <typename More>
fault feed(bytes from, std::uint64_t size, buffer *to, const More &more) {
    std::uint64_t left = size;
    for (;;) {
        // A byte too much shows more than there shall be.
        const std::size_t room = std::min<std::uint64_t>(left + 1, step);
        progress now = more(from, std::span(to->room(room), room));
        if (now.wrong) {
            return now.wrong;
        }
        if (now.made > left) {
            return "it has more than the " + std::to_string(size) + " bytes that it tells";
        }
        to->use(now.made);
        left -= now.made;
        from = from.subspan(now.taken);
        if (now.ended) {
            return left == 0 && from.empty() ? fault() : "it has another size than it tells";
        }
        if (now.taken == 0 && now.made == 0) {
            return "it is cut off";
        }
    }
}

#ifdef ZBQ_MCAP_LZ4
void compress_lz4(bytes from, buffer *to) {
    const std::size_t most = LZ4F_compressFrameBound(from.size(), nullptr);
    const std::size_t size =
        LZ4F_compressFrame(to->room(most), most, from.data(), from.size(), nullptr);
    if (LZ4F_isError(size) != 0) {
        throw std::runtime_error(std::string("lz4: ") + LZ4F_getErrorName(size));
    }
    to->use(size);
}

fault decompress_lz4(bytes from, std::uint64_t size, buffer *to) {
    LZ4F_dctx *made = nullptr;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION)) != 0) {
        throw std::bad_alloc();
    }
    const std::unique_ptr<LZ4F_dctx, decltype(&LZ4F_freeDecompressionContext)> context(
        made, LZ4F_freeDecompressionContext);
    return feed(from, size, to, [&](bytes input, std::span<std::byte> room) {
        progress now = {input.size(), room.size(), false, {}};
        const std::size_t left = LZ4F_decompress(context.get(), room.data(), &now.made,
                                                 input.data(), &now.taken, nullptr);
        now.ended = left == 0;
        if (LZ4F_isError(left) != 0) {
            now.wrong = LZ4F_getErrorName(left);
        }
        return now;
    });
}
#endif

#ifdef ZBQ_MCAP_ZSTD
void compress_zstd(bytes from, buffer *to) {
    const std::size_t most = ZSTD_compressBound(from.size());
    // The fastest level of those that zstd calls normal.
    const std::size_t size = ZSTD_compress(to->room(most), most, from.data(), from.size(), 1);
    if (ZSTD_isError(size) != 0) {
        throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(size));
    }
    to->use(size);
}

fault decompress_zstd(bytes from, std::uint64_t size, buffer *to) {
    const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(),
                                                                            ZSTD_freeDStream);
    if (stream == nullptr) {
        throw std::bad_alloc();
    }
    return feed(from, size, to, [&](bytes input, std::span<std::byte> room) {
        ZSTD_inBuffer in = {input.data(), input.size(), 0};
        ZSTD_outBuffer out = {room.data(), room.size(), 0};
        const std::size_t left = ZSTD_decompressStream(stream.get(), &out, &in);
        progress now = {in.pos, out.pos, left == 0, {}};
        if (ZSTD_isError(left) != 0) {
            now.wrong = ZSTD_getErrorName(left);
        }
        return now;
    });
}
#endif

fault copy(bytes from, std::uint64_t size, buffer *to) {
    to->append(from.first(std::min<std::uint64_t>(size, from.size())));
    return from.size() == size ? fault() : "it has another size than it tells";
}

} // namespace

bool knows_compression(std::string_view name) {
    bool known = name.empty();
#ifdef ZBQ_MCAP_LZ4
    known = known || name == "lz4";
#endif
#ifdef ZBQ_MCAP_ZSTD
    known = known || name == "zstd";
#endif
    return known;
}

void compress(std::string_view name, bytes from, buffer *to) {
    if (name.empty()) {
        to->append(from);
        return;
    }
#ifdef ZBQ_MCAP_LZ4
    if (name == "lz4") {
        compress_lz4(from, to);
        return;
    }
#endif
#ifdef ZBQ_MCAP_ZSTD
    if (name == "zstd") {
        compress_zstd(from, to);
        return;
    }
#endif
    throw std::runtime_error("this build has no compression " + std::string(name));
}

std::optional<std::string> decompress(std::string_view name, bytes from, std::uint64_t size,
                                      buffer *to) {
    if (name.empty()) {
        return copy(from, size, to);
    }
#ifdef ZBQ_MCAP_LZ4
    if (name == "lz4") {
        return decompress_lz4(from, size, to);
    }
#endif
#ifdef ZBQ_MCAP_ZSTD
    if (name == "zstd") {
        return decompress_zstd(from, size, to);
    }
#endif
    return "compressed by '" + std::string(name) + "', which this build does not know";
}

} // namespace zbq::mcap
