package bench

import "time"

func nowNanos() int64 { return time.Now().UnixNano() }

// feed publishes over one connection of a fleet.
type feed struct {
	fleet    *fleet
	link     *link
	text     eventText
	channels int

	sent  int64
	last  int64  // newest stamp
	event []byte // reused
	out   []byte // reused
}

// maxBacklog is how many bytes may wait for the socket before publishes are held back. They stay due.
const maxBacklog = 256 << 10

func (p *feed) full() bool { return len(p.link.out) > maxBacklog }

// publish sends one event, in a write of its own, to the channels in turn. Stamps increase strictly.
func (p *feed) publish(stamp int64) {
	stamp = max(stamp, p.last+1)
	p.last = stamp
	channel := channelName(int(p.sent % int64(p.channels)))
	if p.link.role == worker {
		p.event = p.text.appendEvent(p.event[:0], stamp)
		p.out = appendCommand(p.out[:0], []byte("FCALL"), []byte("tw_publish"), []byte("1"), streamKey(channel), p.event)
	} else {
		p.event = p.text.appendPublish(p.event[:0], p.sent, channel, stamp)
		p.out = appendFrame(p.out[:0], opText, p.event)
	}
	p.sent++
	p.fleet.send(p.link, p.out)
}

func streamKey(channel string) []byte { return []byte("tw:{" + channel + "}") }
