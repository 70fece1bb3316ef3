package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Sequences of ANSI.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
	bold        = "\x1b[1m"
	reset       = "\x1b[0m"
)

// topChannels is how many channels are asked for; those with the most subscribers are shown.
const topChannels = 500

// Screen is a terminal.
type Screen struct {
	Out io.Writer
	// Size returns its columns and lines now.
	Size func() (columns, lines int)
	// Keys brings what is typed; nil where nothing can be.
	Keys <-chan byte
}

// Top shows the cluster on a screen, anew every interval, until ctx ends or q is typed. A gateway that does
// not answer does not end it: the screen says since when.
func Top(ctx context.Context, c *Client, s Screen, interval time.Duration) error {
	if _, err := io.WriteString(s.Out, enterScreen); err != nil {
		return fmt.Errorf("screen: %w", err)
	}
	defer func() { _, _ = io.WriteString(s.Out, leaveScreen) }()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var last []byte // what was shown when somebody answered
	var at time.Time
	for {
		var b bytes.Buffer
		err := Frame(ctx, c, &b)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			last, at = bytes.Clone(b.Bytes()), time.Now()
		case at.IsZero():
			return err
		default:
			b.Reset()
			fmt.Fprintf(&b, "NO ANSWER for %s: %s\n\n", span(time.Since(at)), err)
			b.Write(last)
		}
		if err := s.draw(b.Bytes()); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case key := <-s.Keys:
			if key == 'q' || key == 'Q' || key == 3 { // Ctrl-C, where the terminal sends it as a key
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// draw shows a text, cut to the screen. The first line is bold.
func (s Screen) draw(text []byte) error {
	columns, lines := s.Size()
	var b strings.Builder
	b.WriteString(home)
	rows := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	for i, row := range rows[:min(len(rows), max(lines-1, 1))] {
		if runes := []rune(row); len(runes) > columns {
			row = string(runes[:columns])
		}
		if i == 0 {
			row = bold + row + reset
		}
		b.WriteString(row + clearLine + "\r\n")
	}
	b.WriteString(clearBelow)
	if _, err := io.WriteString(s.Out, b.String()); err != nil {
		return fmt.Errorf("screen: %w", err)
	}
	return nil
}

// Frame writes what Top shows, once.
func Frame(ctx context.Context, c *Client, out io.Writer) error {
	raw, err := c.Get(ctx, nil, "gateways")
	if err != nil {
		return err
	}
	var a gatewaysAnswer
	if err := json.Unmarshal(raw, &a); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	raw, err = c.Get(ctx, url.Values{"limit": {fmt.Sprint(topChannels)}}, "channels")
	if err != nil {
		return err
	}
	var ch channelsAnswer
	if err := json.Unmarshal(raw, &ch); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	fmt.Fprintf(out, "tallywire %s  %d of %d gateways answer  %d connections  %d sessions  %d subscriptions  %s published/s  %s delivered/s\n",
		a.Now.Local().Format(time.TimeOnly), a.Totals.Answered, a.Totals.Gateways, a.Totals.Connections, a.Totals.Sessions,
		a.Totals.Subscriptions, perSecond(a.Totals.Published), perSecond(a.Totals.Delivered))
	a.warn(out)
	fmt.Fprintln(out)
	if err := a.print(out); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return ch.printBusiest(out, a.Now)
}

// printBusiest prints the channels with the most subscribers.
func (a *channelsAnswer) printBusiest(out io.Writer, now time.Time) error {
	slices.SortStableFunc(a.Channels, func(x, y channelAnswer) int { return y.Subscribers - x.Subscribers })
	more := ""
	if a.Next != "" {
		more = fmt.Sprintf(" OF THE FIRST %d", len(a.Channels))
	}
	t := newTable(out, "CHANNEL"+more, "SUBSCRIBERS", "RETAINED", "NEWEST")
	for i := range a.Channels[:min(len(a.Channels), 20)] {
		ch := &a.Channels[i]
		retained, newest := ch.StreamProblem, ""
		if ch.Stream != nil {
			retained, newest = number(ch.Stream.Retained), ago(now, ch.Stream.Newest)
		}
		t.row(ch.Channel, number(ch.Subscribers), retained, newest)
	}
	return t.end()
}
