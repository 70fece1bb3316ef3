package metrics

import "github.com/prometheus/client_golang/prometheus"

const prefix = "tallywire_"

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, labels, nil)
}

// What is told of every gateway.
var (
	buildInfo = desc("build_info", "1, with the version of the program and the name of the gateway.", "version", "gateway")
	ready     = desc("ready", "Whether the gateway is ready: its path through the store works, and it does not drain.")
	draining  = desc("draining", "Whether the gateway moves its clients away.")

	connections        = desc("connections", "Connections that are open.", "transport")
	connectionLimit    = desc("connection_limit", "Connections that the gateway takes, 0 for no limit.")
	connectionsTotal   = desc("connections_total", "Connections that were asked for, by what became of that.", "transport", "result")
	disconnectsTotal   = desc("disconnects_total", "WebSockets and event streams that have ended, by the gateway's close code (1006: without one) and reason.", "code", "reason")
	pingRTT            = desc("ping_rtt_seconds", "Time from the ping to a silent WebSocket until its pong.")
	commandSessions    = desc("command_sessions", "Sessions over HTTP that are kept between their commands.")
	subscriptions      = desc("subscriptions", "Subscriptions that are served.")
	channels           = desc("channels", "Channels that are open at this gateway.")
	drainsTotal        = desc("drains_total", "Drains that were begun, and of them those that came to their end (nobody left, or the time over), were taken back by an operator (undone), or were cut short by another signal (forced).", "result")
	drainedConnections = desc("drained_connections_total", "Connections that were told to move, and those of them that were closed since they had not in time.", "result")

	eventsTotal     = desc("events_total", "Events published by clients (in), heard from the store (heard), written to connections (out), and accounted for without delivery (skipped).", "direction")
	commandsTotal   = desc("commands_total", "Frames that clients sent, by whether they were understood.", "result")
	bytesTotal      = desc("bytes_total", "Bytes of messages and bodies.", "direction")
	messagesTotal   = desc("messages_total", "Messages written to connections.")
	deliveryLag     = desc("delivery_lag_seconds", "Time from the publish (the store's clock) until the message with the event was handed to a connection, by this machine's clock: of the last event of each message. What is replayed does not count.")
	fanoutDuration  = desc("fanout_duration_seconds", "Time from when a round of deliveries begins until what is new has been handed to the last connection that is to have it.")
	namespaceEvents = desc("namespace_events_total", "Events of the channels of a namespace, as it is configured (*: of all others): heard from the store, written to connections (out), and accounted for without delivery (skipped).", "channel_namespace", "direction")
	flushEvents     = desc("flush_events", "Events of one channel in one message.")
	readerLag       = desc("reader_lag_events", "Events that the reader which is farthest behind has still to get.")
	signalsLost     = desc("signals_lost_total", "Signals that a slow reader missed.")

	resumeTotal = desc("resume_total", "Subscriptions that brought a cursor, by whether they went on after it.", "result")
	freshTotal  = desc("fresh_subscriptions_total", "Subscriptions that brought no cursor.")
	resetsTotal = desc("resets_total", "Resets told to subscribers.", "reason")

	repairsTotal = desc("repairs_total", "Gaps and forks that have been settled by reading the stream (repaired), and tries that went wrong and are made again (failed).", "result")
	repairing    = desc("channels_repairing", "Channels with a gap or fork that is not settled yet: their subscribers wait.")
	cutsTotal    = desc("cuts_total", "Channels whose log went on with other events than were relayed: forked, trimmed or expired.")
	pagesTotal   = desc("pages_total", "Pages read from the store for readers that were behind.")

	slowBlocks = desc("slow_consumer_blocks_total", "Writes that had to wait since the client did not read.")
	slowDrops  = desc("slow_consumer_drops_total", "Connections closed since a write had to wait too long.")
	panics     = desc("panics_total", "Defects that were caught in one connection.")

	probeAge       = desc("probe_age_seconds", "Time since an event that the gateway published to itself last came back through the store.")
	probeRoundTrip = desc("probe_round_trip_seconds", "Time that the last such event took.")

	deadLetters = desc("dead_letters_total", "Events that this gateway put among the dead letters. Several gateways may put the same one there.", "reason")
	deadLost    = desc("dead_letters_lost_total", "Events that should be among the dead letters, and could not be stored there.")
)

// What is told of a gateway that terminates TLS.
var certificateEnd = desc("tls_certificate_expiry_timestamp_seconds", "When the certificate that clients are shown ends, in seconds since 1970.")

// What is told where there is presence.
var (
	members          = desc("presence_members", "Sessions that are present in a channel through this gateway, once for each channel.")
	reaps            = desc("presence_reaps_total", "Dead gateways whose members this one took out.")
	presenceWaiting  = desc("presence_waiting", "Changes of presence that the store does not know yet.")
	presenceFailures = desc("presence_failures_total", "Operations of presence on the store that failed.")
	presenceLeases   = desc("presence_lease_losses_total", "Leases of this gateway that ended while it ran.")
)

// What is told of a gateway that takes part in the inbox.
var (
	inboxWaiting = desc("inbox_waiting", "Events in the inbox, as this gateway last heard.")
	inboxOldest  = desc("inbox_oldest_seconds", "Age of the oldest event in the inbox.")
	inboxActive  = desc("inbox_active", "Whether this gateway is the one that publishes what is in the inbox.")
	inboxTotal   = desc("inbox_events_total", "Events that this gateway took from the inbox, by what became of them.", "result")
	inboxErrors  = desc("inbox_errors_total", "Calls of the inbox on the store that failed.")
	inboxLosses  = desc("inbox_lease_losses_total", "Times that this gateway lost the inbox while it was the active one.")
)

// What is told of a gateway with Redis.
var (
	publishes      = desc("publishes_total", "Publishes to Redis, by what became of them; repeated ones were sent a second time too.", "result")
	publishing     = desc("publishes_in_flight", "Publishes that wait for Redis.")
	reconnects     = desc("redis_reconnects_total", "Connections for doorbells (pub/sub) that were made anew after the first.")
	doorbells      = desc("redis_doorbells_total", "Messages heard from Redis, by whether they were understood.", "result")
	probesLost     = desc("probes_lost_total", "Events to itself that did not come back in time.")
	libraryLoads   = desc("redis_library_loads_total", "Times that this gateway loaded the functions into Redis.")
	auditsTotal    = desc("audits_total", "Channels whose head was compared with the store's (done), and rounds broken off (failed).", "result")
	poolConnection = desc("redis_pool_connections", "Connections for commands.", "state")
	poolTimeouts   = desc("redis_pool_timeouts_total", "Commands that did not get a connection in time.")
)

// all are the descriptions above, for Describe.
func all(s *Sources) []*prometheus.Desc {
	out := []*prometheus.Desc{
		buildInfo, ready, draining, connections, connectionLimit, connectionsTotal, disconnectsTotal, commandSessions,
		subscriptions, channels, drainsTotal, drainedConnections, eventsTotal, commandsTotal, bytesTotal, messagesTotal,
		deliveryLag, fanoutDuration, namespaceEvents, pingRTT, flushEvents, readerLag, signalsLost, resumeTotal, freshTotal, resetsTotal, repairsTotal,
		repairing, cutsTotal, pagesTotal, slowBlocks, slowDrops, panics, probeAge, probeRoundTrip, deadLetters, deadLost,
	}
	if s.CertificateEnd != nil {
		out = append(out, certificateEnd)
	}
	if s.Presence != nil {
		out = append(out, members, reaps, presenceWaiting, presenceFailures, presenceLeases)
	}
	if s.Inbox != nil {
		out = append(out, inboxWaiting, inboxOldest, inboxActive, inboxTotal, inboxErrors, inboxLosses)
	}
	if s.Broker != nil {
		out = append(out, publishes, publishing, reconnects, doorbells, probesLost, libraryLoads, auditsTotal)
	}
	if s.Pool != nil {
		out = append(out, poolConnection, poolTimeouts)
	}
	return out
}
