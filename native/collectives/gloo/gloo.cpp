// Gloo over TCP. It is told where the other ranks are: how ranks find each other is no part of it.
#include <gloo/allreduce.h>
#include <gloo/context.h>
#include <gloo/math.h>
#include <gloo/transport/context.h>
#include <gloo/transport/tcp/device.h>

#include <string>

#include "../engine.h"

namespace batchnorm::collectives {
namespace {

using Bytes = std::vector<char>;
using std::chrono::milliseconds;

// Gloo waits for a connection five times as long as it is told.
constexpr int connect_factor = 5;

class Mesh : public gloo::Context {
 public:
  Mesh(int rank, int size, const std::string& address, milliseconds timeout)
      : gloo::Context(rank, size) {
    setTimeout(timeout);
    device_ = gloo::transport::tcp::CreateDevice(gloo::transport::tcp::attr(address.c_str()));
    transportContext_ = device_->createContext(rank, size);
    transportContext_->setTimeout(timeout / connect_factor);
  }

  // Where this rank listens for each of the others, one after another; of itself it has zeros.
  Bytes listen() {
    Bytes all;
    for (int other = 0; other < size; other++) {
      if (other == rank) continue;
      auto address = transportContext_->createPair(other)->address().bytes();
      if (all.empty()) all.resize(size * address.size());
      std::copy(address.begin(), address.end(), all.begin() + other * address.size());
    }
    return all;
  }

  // What all ranks have got from listen.
  void connect(const std::vector<Bytes>& addresses) {
    const auto length = addresses[rank].size() / size;
    for (int other = 0; other < size; other++) {
      if (other == rank) continue;
      const auto begin = addresses[other].begin() + rank * length;
      getPair(other)->connect(Bytes(begin, begin + length));
    }
    transportContext_->setTimeout(getTimeout());
  }
};

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

class GlooTransport : public Transport {
 public:
  GlooTransport(int rank, int size, const std::string& address, milliseconds timeout)
      : mesh_(std::make_shared<Mesh>(rank, size, address, timeout)) {}

  Bytes listen() { return mesh_->listen(); }

  void connect(const std::vector<Bytes>& addresses) {
    translated([&] { mesh_->connect(addresses); });
  }

  void all_reduce(double* values, std::size_t count) override {
    if (count == 0) return;
    translated([&] {
      gloo::AllreduceOptions options(mesh_);
      options.setOutput(values, count);
      options.setReduceFunction(
          static_cast<void (*)(void*, const void*, const void*, size_t)>(&gloo::sum<double>));
      gloo::allreduce(options);
    });
  }

  // The others see it at once. What is under way here goes on to its timeout: Gloo lets nobody else
  // end it.
  void interrupt() noexcept override {
    try {
      mesh_->closeConnections();
    } catch (const std::exception&) {
    }
  }

  // Closes the connections when what was written has been sent, as closeConnections does not.
  void end(bool) noexcept override { mesh_.reset(); }

 private:
  // Gloo's exceptions tell in words what has happened.
  template <typename Action>
  auto translated(Action action) -> decltype(action()) {
    try {
      return action();
    } catch (const std::exception& exception) {
      const std::string text = exception.what();
      const bool is_late = contains(text, "imed out") || contains(text, "imeout");
      throw Failure(is_late ? "ERR_COLLECTIVE_TIMEOUT" : "ERR_COLLECTIVE_PEER_LOST", text);
    }
  }

  std::shared_ptr<Mesh> mesh_;
};

Bytes bytes_of(const Napi::Value& value) {
  auto buffer = value.As<Napi::Uint8Array>();
  return Bytes(buffer.Data(), buffer.Data() + buffer.ElementLength());
}

Napi::Value create(const Napi::CallbackInfo& info) {
  const auto env = info.Env();
  const auto options = info[0].As<Napi::Object>();
  const int rank = options.Get("rank").As<Napi::Number>();
  const int size = options.Get("size").As<Napi::Number>();
  const milliseconds timeout(options.Get("timeoutMs").As<Napi::Number>().Int64Value());
  std::shared_ptr<GlooTransport> transport;
  Bytes addresses;
  try {
    transport = std::make_shared<GlooTransport>(
        rank, size, options.Get("address").As<Napi::String>().Utf8Value(), timeout);
    addresses = transport->listen();
  } catch (const std::exception& exception) {
    throw Napi::Error::New(env, exception.what());
  }
  // Only connections are closed at the end.
  const auto engine = std::make_shared<Engine>(env, transport, milliseconds(2000));
  auto face = face_of(env, engine);
  face.Set("addresses", Napi::Buffer<char>::Copy(env, addresses.data(), addresses.size()));
  face.Set(
      "connect",
      Napi::Function::New(env, [engine, transport](const Napi::CallbackInfo& info) -> Napi::Value {
        const auto given = info[0].As<Napi::Array>();
        std::vector<Bytes> addresses;
        for (uint32_t index = 0; index < given.Length(); index++)
          addresses.push_back(bytes_of(given[index]));
        return engine->start(info.Env(), [transport, addresses]() -> Engine::Then {
          transport->connect(addresses);
          return [](Napi::Env env) -> Napi::Value { return env.Undefined(); };
        });
      }));
  return face;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("create", Napi::Function::New(env, create));
  return exports;
}

NODE_API_MODULE(gloo, initialize)

}  // namespace
}  // namespace batchnorm::collectives
