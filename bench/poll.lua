-- For wrk: GETs of runs whose ids count, in no order.
--
--     wrk ... -s poll.lua URL -- TOKEN SET RUNS

local set, runs

function init(args)
    wrk.headers["Authorization"] = "Bearer " .. args[1]
    set = tonumber(args[2])
    runs = tonumber(args[3])
    math.randomseed(1)
end

function request()
    return wrk.format("GET", string.format("/agents/runs/%08x-0000-7000-9000-"
                                           .. "%012x",
                                           set, math.random(0, runs - 1)))
end
