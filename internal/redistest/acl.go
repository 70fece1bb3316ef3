package redistest

import (
	"os"
	"regexp"
	"strings"
)

var aclLine = regexp.MustCompile(`(?m)^ {4}(ACL SETUSER ([a-z]+) .*)$`)

// Users makes the users whose ACL lines stand, indented, in a document, so that what it recommends is
// what is tested. It returns the users' names with their passwords, "name:password" as in a URL, by name.
func (s *Server) Users(document string) map[string]string {
	s.t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		s.t.Fatalf("redistest: %v", err)
	}
	users := map[string]string{}
	for _, m := range aclLine.FindAllStringSubmatch(string(text), -1) {
		var args []any
		for _, word := range strings.Fields(m[1]) {
			if password, ok := strings.CutPrefix(word, ">"); ok {
				users[m[2]] = m[2] + ":" + password
			}
			args = append(args, word)
		}
		s.Do(args...)
	}
	if len(users) == 0 {
		s.t.Fatalf("redistest: no ACL SETUSER with a password in %s", document)
	}
	return users
}
