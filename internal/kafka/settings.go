package kafka

import (
	"context"
	"fmt"
	"strconv"

	"github.com/segmentio/kafka-go/protocol/describeconfigs"
)

// checkTopics compares the settings that matter with what we need.
func (c *Client) checkTopics(ctx context.Context, topics []Topic) error {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	settings, err := c.topicSettings(ctx, names)
	if err != nil {
		c.log.Warn("cannot check the settings of topics", "error", err)
		return nil
	}
	for _, t := range topics {
		if err := c.checkTopic(t, settings[t.Name]); err != nil {
			return err
		}
	}
	return nil
}

const alter = "kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config %s"

func (c *Client) checkTopic(t Topic, s topicSettings) error {
	fix := func(setting string) string { return fmt.Sprintf(alter, c.cfg.addresses()[0], t.Name, setting) }
	if s.policy != "" && s.policy != policy(t) {
		return fmt.Errorf("topic %s has cleanup.policy=%s where %s is needed (a compacted topic refuses records without key, such as those of TRUNCATE, "+
			"and drops history; one that is not compacted loses state): change it by %s", t.Name, s.policy, policy(t), fix("cleanup.policy="+policy(t)))
	}
	if s.maxBytes > 0 && s.maxBytes < c.cfg.MaxMessageBytes {
		c.log.Warn("topic takes smaller records than configured: a larger one will stop capture", "topic", t.Name, "max_message_bytes", s.maxBytes,
			"configured", c.cfg.MaxMessageBytes, "fix", fix("max.message.bytes="+strconv.Itoa(c.cfg.MaxMessageBytes)))
	}
	return nil
}

// topicSettings are the settings of a topic as it is.
type topicSettings struct {
	maxBytes int
	policy   string
}

// topicResource is the resource type of topics in DescribeConfigs.
const topicResource int8 = 2

// topicSettings asks for the settings of topics; one that may not be seen has none.
func (c *Client) topicSettings(ctx context.Context, topics []string) (map[string]topicSettings, error) {
	req := &describeconfigs.Request{}
	for _, t := range topics {
		req.Resources = append(req.Resources, describeconfigs.RequestResource{ResourceType: topicResource, ResourceName: t,
			ConfigNames: []string{"max.message.bytes", "cleanup.policy"}})
	}
	out := make(map[string]topicSettings, len(topics))
	err := c.retry(ctx, func(ctx context.Context) error {
		msg, err := c.askAny(ctx, req)
		if err != nil {
			return err
		}
		for _, r := range msg.(*describeconfigs.Response).Resources {
			if code := Code(r.ErrorCode); code.Retriable() {
				return code
			}
			out[r.ResourceName] = settingsOf(r.ConfigEntries)
		}
		return nil
	})
	return out, err
}

func settingsOf(entries []describeconfigs.ResponseConfigEntry) topicSettings {
	var s topicSettings
	for _, e := range entries {
		switch e.ConfigName {
		case "max.message.bytes":
			s.maxBytes, _ = strconv.Atoi(e.ConfigValue)
		case "cleanup.policy":
			s.policy = e.ConfigValue
		}
	}
	return s
}
