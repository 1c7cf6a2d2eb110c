-- Requests for wrk: `me FILE` sends one for each access token in the file, in turn;
-- `login` signs one user in; `register PREFIX` registers new ones.

local next_request

local function prepared(requests)
  local at = 0
  return function()
    at = at % #requests + 1
    return requests[at]
  end
end

local function me(file)
  local requests = {}
  for token in io.lines(file) do
    table.insert(requests, wrk.format("GET", "/api/auth/me", { Authorization = "Bearer " .. token }))
  end
  return prepared(requests)
end

local function body(email)
  return string.format('{"email": "%s", "password": "a password of usual length"}', email)
end

local json = { ["Content-Type"] = "application/json" }

local function login()
  return prepared({ wrk.format("POST", "/api/auth/login", json, body("signs-in@example.com")) })
end

local function register(prefix)
  local number = 0
  return function()
    number = number + 1
    local email = prefix .. "-" .. number .. "@example.com"
    return wrk.format("POST", "/api/auth/register", json, body(email))
  end
end

function init(arguments)
  local kinds = { me = me, login = login, register = register }
  next_request = kinds[arguments[1]](arguments[2])
end

function request()
  return next_request()
end
