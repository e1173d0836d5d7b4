-- wrk -s load.lua URL -- BODIES TOKEN PATH OFFSET: posts the lines of a file, one after the other.
local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  local headers = {["Authorization"] = "Bearer " .. args[2], ["Content-Type"] = "application/json"}
  made = {}
  for line in io.lines(args[1]) do
    made[#made + 1] = wrk.format("POST", args[3], headers, line)
  end
  at = tonumber(args[4]) + number * math.floor(#made / 2)
end

function request()
  at = at + 1
  return made[(at - 1) % #made + 1]
end

function done(summary, latency)
  local failed = summary.errors.status + summary.errors.timeout + summary.errors.read + summary.errors.connect
  print(string.format("RESULT %d %d %d %f %f", summary.requests, failed, summary.duration, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000))
end
