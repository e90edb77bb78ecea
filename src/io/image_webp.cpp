// WebP by libwebp: the first frame, on a black canvas where it does not cover it, as the animation decoder
// lays it.
#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>

#include "image_codec.h"

namespace unisim {
namespace {

struct DemuxerDelete {
  void operator()(WebPDemuxer* demuxer) const { WebPDemuxDelete(demuxer); }
};

/// A frame of the demuxer; releases what the iterator holds.
struct FirstFrame {
  WebPIterator at{};
  ~FirstFrame() { WebPDemuxReleaseIterator(&at); }
};

struct DecoderDelete {
  void operator()(WebPIDecoder* decoder) const { WebPIDelete(decoder); }
};

/// Bytes handed over between two looks at the clock: as many again as were given, within these bounds. The
/// decoder begins a lossless file's header anew each time it does not have the whole of it, so that small
/// steps throughout would let a long header cost the square of its length.
constexpr std::size_t least_step = std::size_t{64} << 10;
constexpr std::size_t most_step = std::size_t{1} << 20;

VP8StatusCode decode_in_steps(WebPIDecoder* decoder, const WebPData& data, const Watchdog& watchdog,
                              const std::string& name) {
  VP8StatusCode status = VP8_STATUS_SUSPENDED;
  std::size_t given = 0;
  while (status == VP8_STATUS_SUSPENDED && given < data.size) {
    require_data(!expired(watchdog), name, "decoding took more than ", decoding_seconds.load(),
                 " s and was given up");
    given = std::min(data.size, given + std::clamp(given, least_step, most_step));
    status = WebPIUpdate(decoder, data.bytes, given);
  }
  return status;
}

void decode_frame(const EncodedImage& file, const WebPIterator& frame, const Watchdog& watchdog,
                  Image& image) {
  const std::size_t stride = std::size_t{3} * static_cast<std::size_t>(image.width);
  const std::size_t offset = stride * static_cast<std::size_t>(frame.y_offset) +
                             std::size_t{3} * static_cast<std::size_t>(frame.x_offset);
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) throw std::runtime_error("[read_image] libwebp of another version");
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = image.pixels.data() + offset;
  config.output.u.RGBA.stride = static_cast<int>(stride);
  config.output.u.RGBA.size = image.pixels.size() - offset;
  const std::unique_ptr<WebPIDecoder, DecoderDelete> decoder(WebPIDecode(nullptr, 0, &config));
  if (!decoder) throw std::bad_alloc();
  const VP8StatusCode status = decode_in_steps(decoder.get(), frame.fragment, watchdog, file.name);
  if (status == VP8_STATUS_OUT_OF_MEMORY) throw std::bad_alloc();
  require_data(status != VP8_STATUS_SUSPENDED, file.name,
               "a truncated WebP: the data ends before the image does");
  require_data(status == VP8_STATUS_OK, file.name,
               "a broken WebP: its image data cannot be decoded (libwebp status ", static_cast<int>(status),
               ")");
}

}  // namespace

Image decode_webp(const EncodedImage& file) {
  const Watchdog watchdog = started_watchdog();
  const WebPData data{file.data(), file.size()};
  const std::unique_ptr<WebPDemuxer, DemuxerDelete> demuxer(WebPDemux(&data));
  require_data(demuxer != nullptr, file.name, "a broken or truncated WebP: its chunks cannot be read");
  Image image = sized_image(file, WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH),
                            WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT));
  FirstFrame frame;
  require_data(WebPDemuxGetFrame(demuxer.get(), 1, &frame.at) != 0 && frame.at.complete, file.name,
               "a broken WebP: no first frame");
  decode_frame(file, frame.at, watchdog, image);
  return image;
}

}  // namespace unisim
