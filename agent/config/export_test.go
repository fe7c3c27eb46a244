package config

// Parse is Load for content that stands in no file, on a host with a name of the test's choice.
func Parse(content []byte, path string, hostname func() (string, error)) (*Config, error) {
	return parse(content, path, hostname)
}
