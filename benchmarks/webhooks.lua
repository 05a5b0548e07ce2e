-- Signed Greenhouse webhooks for wrk: each has an application of its own, and tells when it was posted.
-- wrk -s webhooks.lua URL -- BODY SECRET FIRST RATE
-- BODY is a file with @APPLICATION@, again @APPLICATION@ and @POSTED_AT_MICROS@ where those belong; FIRST is the first application's number; RATE
-- is webhooks a second, 0 for as many as are taken. At the end one line of JSON is printed.
local ffi = require("ffi")
local crypto = ffi.load("libcrypto.so.3")
ffi.cdef [[
  const void *EVP_sha256(void);
  unsigned char *HMAC(const void *hash, const char *key, int key_size, const char *data, size_t size,
                      unsigned char *digest, unsigned int *digest_size);
  typedef struct { long s; long ns; } moment;
  int clock_gettime(int clock, moment *at);
]]
local sha256 = crypto.EVP_sha256()
local digest, size, now = ffi.new("unsigned char[32]"), ffi.new("unsigned int[1]"), ffi.new("moment")
local parts, secret, number, rate, next_at

local function micros()
  ffi.C.clock_gettime(0, now)
  return tonumber(now.s) * 1e6 + math.floor(tonumber(now.ns) / 1e3)
end

function init(args)
  local file = assert(io.open(args[1]))
  parts = {file:read("*a"):match("^(.*)@APPLICATION@(.*)@APPLICATION@(.*)@POSTED_AT_MICROS@(.*)$")}
  file:close()
  secret, number, rate = args[2], tonumber(args[3]), tonumber(args[4])
  wrk.headers["content-type"] = "application/json"
  if rate == 0 then delay = nil end
end

-- Milliseconds until this connection sends again: webhooks go out by the clock, not by how fast they are answered.
function delay()
  local at = micros()
  next_at = math.max(next_at or at, at - 1e6) + 1e6 / rate
  return math.max(0, math.floor((next_at - at) / 1e3))
end

function request()
  local application = string.format("%d", number)
  local body = table.concat({
    parts[1], application, parts[2], application, parts[3], string.format("%d", micros()), parts[4]
  })
  number = number + 1
  crypto.HMAC(sha256, secret, #secret, body, #body, digest, size)
  local hex = {}
  for i = 0, 31 do hex[i + 1] = string.format("%02x", digest[i]) end
  wrk.headers["signature"] = "sha256 " .. table.concat(hex)
  return wrk.format("POST", nil, nil, body)
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    '{"answered": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    failed.status, failed.connect + failed.read + failed.write + failed.timeout))
end
