package config

// Parse is Load for content that stands in no file, on a host with a name of the test's choice.
func Parse(content []byte, path string, hostname func() (string, error)) (*Config, error) {
	loaded, faults := parse(content, path, hostname)
	if faults != nil {
		return nil, faults
	}
	return loaded, nil
}
