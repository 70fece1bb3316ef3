package main

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// document is what matters of a Markdown file: its links, and the anchors that others may link to.
// Headings are those that start with '#'.
type document struct {
	links   []link
	anchors map[string]bool
}

type link struct {
	line   int
	target string
}

var (
	heading    = regexp.MustCompile(`^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$`)
	fence      = regexp.MustCompile("^ {0,3}(?:[-*+>] *)?(```+|~~~+)")
	inlineCode = regexp.MustCompile("(`+)[^`]+(`+)")
	inlineLink = regexp.MustCompile(`\]\(\s*<?([^)<>\s]+)>?(?:\s+["'(][^)]*)?\)`)
	definition = regexp.MustCompile(`^ {0,3}\[[^\]]+\]:\s*<?([^<>\s]+)>?`)
	attribute  = regexp.MustCompile(`<[a-zA-Z][^>]*\b(?:href|src)="([^"]*)"`)
	namedHTML  = regexp.MustCompile(`<[a-zA-Z][^>]*\b(?:id|name)="([^"]*)"`)
	linkText   = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
)

// readDocument scans Markdown line by line; what stands in code is neither link nor heading.
func readDocument(text string) *document {
	d := &document{anchors: map[string]bool{}}
	closing := ""
	number := 0
	for l := range strings.Lines(text) {
		number++
		l = strings.TrimRight(l, "\r\n")
		if f := fence.FindStringSubmatch(l); f != nil && (closing == "" || strings.HasPrefix(f[1], closing)) {
			if closing == "" {
				closing = f[1]
			} else {
				closing = ""
			}
			continue
		}
		if closing != "" {
			continue
		}
		if h := heading.FindStringSubmatch(l); h != nil {
			d.addHeading(h[1])
		}
		l = inlineCode.ReplaceAllString(l, "")
		for _, pattern := range []*regexp.Regexp{inlineLink, definition, attribute} {
			for _, m := range pattern.FindAllStringSubmatch(l, -1) {
				d.links = append(d.links, link{number, m[1]})
			}
		}
		for _, m := range namedHTML.FindAllStringSubmatch(l, -1) {
			d.anchors[m[1]] = true
		}
	}
	return d
}

// addHeading makes the anchor as GitHub does: a second heading of the same text gets "-1", and so on.
func (d *document) addHeading(text string) {
	s := slug(text)
	unique := s
	for n := 1; d.anchors[unique]; n++ {
		unique = s + "-" + strconv.Itoa(n)
	}
	d.anchors[unique] = true
}

func slug(text string) string {
	text = linkText.ReplaceAllString(text, "$1")
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}
