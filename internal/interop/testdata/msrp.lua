-- MSRP for tshark. Its own dissector takes a TCP segment for a message, whatever
-- is missing or follows, and has no word for what is wrong. This one finds the
-- messages in the stream and holds them against RFC 4975 section 9, each of which
-- then goes to that dissector. Over WebSocket, where tshark has none, one message
-- has to be all of one frame (RFC 7977 section 5.1).
local wire = Proto("msrpwire", "MSRP on the wire")
local length = ProtoField.uint32("msrpwire.length", "Length of the message")
local fault = ProtoExpert.new("msrpwire.fault", "Fault", expert.group.MALFORMED, expert.severity.ERROR)
wire.fields = { length }
wire.experts = { fault }

local msrp = Dissector.get("msrp")
local stream, opcode = Field.new("tcp.stream"), Field.new("websocket.opcode")

local function ident(s)
	return #s >= 4 and #s <= 32 and s:find("^%w[%w%.%-+%%=]+$")
end

-- Values of header fields, as patterns of which one has to match. The names are in
-- small letters, as case does not matter.
local number_or_star = { "%d+", "%*" }
local ranges = {}
for _, last in ipairs(number_or_star) do
	for _, total in ipairs(number_or_star) do
		table.insert(ranges, "^%d+%-" .. last .. "/" .. total .. "$")
	end
end
local syntax = {
	["byte-range"] = ranges,
	["success-report"] = { "^yes$", "^no$" },
	["failure-report"] = { "^yes$", "^no$", "^partial$" },
	["status"] = { "^%d%d%d %d%d%d$", "^%d%d%d %d%d%d .*$" },
	["content-type"] = { "^[^%s/;]+/[^%s/;]+$", "^[^%s/;]+/[^%s/;]+ *;.+$" },
}

local function uris(value)
	for uri in (value .. " "):gmatch("(.-) ") do
		local rest = uri:match("^[mM][sS][rR][pP][sS]?://[^%s/;]+(.*)$")
		if not rest or not (rest:find("^;%w+") or rest:find("^/[%w%-%._~+=/]+;%w+")) then return false end
	end
	return true
end

-- faults returns what is wrong with a message: its start-line, its header fields as
-- they stand, its body or nil, and its flag.
local function faults(start, head, body, flag)
	local found, fields, n = {}, {}, 0
	local function complain(...) table.insert(found, string.format(...)) end
	local id, what = start:match("^MSRP (%S+) (.+)$")
	local method = what:match("^%u+$")
	if not ident(id) then complain("the transact-id is no ident: %s", id) end
	if not method and not what:find("^%d%d%d$") and not what:find("^%d%d%d .*$") then
		complain("neither a method nor a status-code: %s", what)
	end
	for line in head:gmatch("(.-)\r\n") do
		n = n + 1
		local name, value = line:match("^(%a[^%s:]*): (.*)$")
		if not name then
			complain("no header field: %s", line)
		elseif value:gsub("\t", ""):find("%c") then
			complain("%s has a control character", name)
		else
			name = name:lower()
			if fields[name] then complain("%s comes twice", name) end
			fields[name] = value
			local sound = not syntax[name]
			for _, pattern in ipairs(syntax[name] or {}) do
				sound = sound or value:find(pattern)
			end
			if not sound then complain("%s: %s", name, value) end
		end
		if n == 1 and name ~= "to-path" then complain("To-Path is not the first header field") end
		if n == 2 and name ~= "from-path" then complain("From-Path is not the second header field") end
	end
	if n < 2 then complain("To-Path and From-Path are not there") end
	for _, name in ipairs({ "to-path", "from-path", "use-path" }) do
		if fields[name] and not uris(fields[name]) then complain("%s: %s", name, fields[name]) end
	end
	if fields["message-id"] and not ident(fields["message-id"]) then complain("the Message-ID is no ident") end
	if (body ~= nil) ~= (fields["content-type"] ~= nil) then complain("a body, or a Content-Type, without the other") end
	if not method and (body or flag ~= "$") then complain("a response with a body, or that is not complete") end
	if (method == "SEND" or method == "REPORT") and not fields["message-id"] then complain("%s without Message-ID", method) end
	if method == "REPORT" then -- RFC 4975 section 7.1.2
		if not fields["status"] or not fields["byte-range"] then complain("REPORT without Status or Byte-Range") end
		if fields["success-report"] or fields["failure-report"] then complain("REPORT that asks for reports") end
	end
	-- A chunk whose last byte is told cannot be interrupted (RFC 4975 section 7.3.1).
	local first, last = (fields["byte-range"] or ""):match("^(%d+)%-(%d+)/")
	if method == "SEND" and body and first and #body ~= last - first + 1 then
		complain("Byte-Range %s of a body of %d bytes", fields["byte-range"], #body)
	end
	return found
end

-- message looks at the message that text begins with. It returns its length, or nil
-- if more has to come, and what is wrong with it. With faults after which nobody
-- knows where the next one begins, the length is that of all the text.
local function message(text)
	if text:sub(1, 5) ~= ("MSRP "):sub(1, #text) then return #text, { "not the start of a message" } end
	local start, at = text:match("^(.-)\r\n()")
	if not start then
		if #text > 1024 then return #text, { "a start-line without an end" } end
		return nil
	end
	local id = start:match("^MSRP (%S+) .+$")
	if not id then return #text, { "not a start-line: " .. start } end
	local mark, from = "-------" .. id, at
	while true do
		local first, last = text:find(mark, from, true)
		if not first then return nil end
		local flag, after = text:match("^([$+#])\r\n()", last + 1)
		local blank = text:find("\r\n\r\n", at - 2, true)
		local in_head = not blank or blank >= first - 2
		if flag and text:sub(first - 2, first - 1) == "\r\n" then
			if in_head then return after - 1, faults(start, text:sub(at, first - 1), nil, flag) end
			return after - 1, faults(start, text:sub(at, blank + 1), text:sub(blank + 4, first - 3), flag)
		elseif flag and in_head then
			return after - 1, { "the end-line is not at the start of a line" }
		end
		from = last + 1
	end
end

-- unfinished has, for each direction of a stream, the packet in which a message
-- has begun that has not ended.
local unfinished = {}

function wire.dissector(tvb, pinfo, tree)
	local whole = opcode() ~= nil
	local way = tostring(stream()) .. " " .. tostring(pinfo.src) .. " " .. pinfo.src_port
	unfinished[way] = nil
	local at = 0
	while at < tvb:len() do
		local n, found = message(tvb:raw(at))
		if not n and not whole then
			unfinished[way] = pinfo.number
			pinfo.desegment_offset, pinfo.desegment_len = at, DESEGMENT_ONE_MORE_SEGMENT
			return
		end
		if not n then n, found = tvb:len() - at, { "a message without an end" } end
		local range = tvb(at, n)
		local item = tree:add(wire, range)
		if whole and (at > 0 or n < tvb:len()) then table.insert(found, "not one message in the frame") end
		for _, what in ipairs(found) do item:add_proto_expert_info(fault, what) end
		if found[1] ~= "not the start of a message" then
			item:add(length, range, n)
			-- Of some octets in a body that are no text, tshark's dissector makes a malformed packet.
			if not tvb:raw(at, n):find("[%z\1-\8\11\12\14-\31]") then
				msrp:call(range:tvb(), pinfo, tree)
				pinfo.desegment_offset, pinfo.desegment_len = 0, 0 -- it asks for more of what is cut short
			end
		end
		at = at + n
	end
end

-- What never ended is known at the end, and told as one more packet with a fault.
local tap = Listener.new("frame")
function tap.draw()
	for _, number in pairs(unfinished) do
		print(number .. "|tcp:msrpwire|117440512|8388608|a message without an end||||")
	end
end

DissectorTable.get("tcp.port"):add_for_decode_as(wire)
DissectorTable.get("tls.port"):add_for_decode_as(wire)
DissectorTable.get("ws.protocol"):add("msrp", wire)
