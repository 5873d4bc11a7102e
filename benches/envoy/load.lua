-- The load: sends the requests of a file in turn, so that look-ups do not all hit the same cache line.
--
-- wrk ... -s load.lua URL -- FILE [DELAY_MS]
--   FILE      complete requests, each ending with an empty line
--   DELAY_MS  pause of each connection after a response; none: full speed
-- The last line of output is one JSON object.

local requests, sent, pause = {}, 0, nil

function init(args)
  local file = assert(io.open(args[1], "rb"))
  for request in file:read("*a"):gmatch("(.-\r\n\r\n)") do
    requests[#requests + 1] = request .. "\r\n\r\n"
  end
  file:close()
  pause = tonumber(args[2])
  if pause then
    delay = function() return pause end
  end
end

function request()
  sent = sent % #requests + 1
  return requests[sent]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"refused":%d,"broken":%d,"p50_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d}\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
