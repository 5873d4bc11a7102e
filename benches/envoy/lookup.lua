-- The Lua contender: the same look-ups as the filter's, in a table per kind.
-- The benchmark sets LIST and KINDS before this text. A line of LIST: kind, tab, value or name=value.

local ips, cookies, tokens, keys = {}, {}, {}, {}
local tables = { ip = ips, cookie = cookies, oauth_token = tokens, api_key = keys }
for line in io.lines(LIST) do
  local kind, value = line:match("^(%S+)\t(.*)$")
  local set = tables[kind]
  if set then set[value] = true end
end

local function listed(handle)
  local address = handle:streamInfo():downstreamRemoteAddress()
  if ips[address:match("^(.*):%d+$")] then return true end
  if KINDS == "ips" then return false end
  local headers = handle:headers()
  local authorization = headers:get("authorization")
  if authorization and tokens[authorization:match("^[Bb]earer +(.*)$")] then return true end
  local key = headers:get("x-api-key")
  if key and keys[key] then return true end
  local cookie = headers:get("cookie")
  if cookie then
    for pair in cookie:gmatch("[^; ]+") do
      if cookies[pair] then return true end
    end
  end
  return false
end

function envoy_on_request(handle)
  if listed(handle) then
    handle:respond({ [":status"] = "403" }, "Error: Unauthorized")
  end
end
